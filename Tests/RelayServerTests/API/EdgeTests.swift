import Networking
import RelayProtocol
import RelayServer
import Testing

/// Who is believed about addresses, and which web pages may use a live relay.
struct EdgeTests {
  /// Attack 49: only what the trusted proxies add tells visitors apart; what a client writes before it does not.
  @Test func believesTrustedProxiesOnly() async throws {
    try await RelayFixture.run({
      ($0.visitorAttemptBurst, $0.visitorAttemptsPerMinute) = (2, 1)
      $0.trustedProxies = ["127.0.0.1", "10.0.0.0/8"].compactMap { AddressRange($0) }
    }) { fixture in
      func attempt(_ forwarded: String...) async throws -> String {
        var headers: HTTPHeaders = [:]
        for line in forwarded { headers.append("X-Forwarded-For", line) }
        return try await fixture.raw("POST", "/v1/accounts", body: [1], headers: headers).problem()
      }
      let codes = [
        try await attempt("198.51.100.1, 192.0.2.1"), try await attempt("198.51.100.2, 192.0.2.1"),
        // Another name in front, a second line, a proxy in between, an address in other words: still the same visitor.
        try await attempt("198.51.100.3, 192.0.2.1"), try await attempt("198.51.100.4", "192.0.2.1"),
        try await attempt("192.0.2.1, 10.1.2.3"), try await attempt("::ffff:192.0.2.1"),
        try await attempt("192.0.2.1:8080"), try await attempt("192.0.2.1, 192.0.2.2"),
      ]
      let again = [String](repeating: "rate_limited", count: 5)
      #expect(codes == ["invalid_request", "invalid_request"] + again + ["invalid_request"])
      // One household has all of an IPv6 /64.
      for (address, code) in [
        ("2001:db8:1:2::1", "invalid_request"), ("2001:db8:1:2::2", "invalid_request"),
        ("2001:db8:1:2:ffff::3", "rate_limited"), ("2001:db8:1:3::1", "invalid_request"),
      ] { #expect(try await attempt(address) == code) }
    }
  }

  @Test func believesNobodyWhereNobodyIsTrusted() async throws {
    for trusted in [[], ["192.0.2.0/24"]] {
      try await RelayFixture.run({
        ($0.visitorAttemptBurst, $0.visitorAttemptsPerMinute) = (2, 1)
        $0.trustedProxies = trusted.compactMap { AddressRange($0) }
      }) { fixture in
        var codes: [String] = []
        for number in 1...4 {
          let headers: HTTPHeaders = [
            "X-Forwarded-For": "203.0.113.\(number)", "Forwarded": "for=203.0.113.\(number)",
            "X-Real-IP": "203.0.113.\(number)",
          ]
          codes.append(try await fixture.raw("POST", "/v1/accounts", body: [1], headers: headers).problem())
        }
        #expect(codes == ["invalid_request", "invalid_request", "rate_limited", "rate_limited"])
      }
    }
  }

  /// The limit of connections goes by the client as well, sockets and requests together.
  @Test func boundsConnectionsOfAProxysClient() async throws {
    try await RelayFixture.run({
      $0.connectionsPerAddress = 2
      $0.trustedProxies = [AddressRange("127.0.0.1")].compactMap { $0 }
    }) { fixture in
      let alice = try await fixture.person("alice")
      func open(_ forwarded: String) async throws -> WebSocketStream {
        try await WebSocketClient().connect(
          try fixture.url(Route.socket.path, scheme: "ws"),
          headers: ["Authorization": "Bearer \(alice.token)", "X-Forwarded-For": forwarded],
          subprotocol: Route.subprotocol)
      }
      let (first, second) = (try await open("192.0.2.1"), try await open("192.0.2.1"))
      await #expect(throws: NetworkError(.upgradeRefused, "")) { _ = try await open("192.0.2.1") }
      await #expect(throws: NetworkError(.upgradeRefused, "")) { _ = try await open("198.51.100.7, 192.0.2.1") }
      let refused = try await fixture.raw("GET", "/livez", headers: ["X-Forwarded-For": "192.0.2.1"])
      #expect(try refused.problem() == "rate_limited" && refused.headers["Retry-After"] == "5")
      let other = try await open("192.0.2.2")
      #expect(try await fixture.call(.live).status == 200)
      first.close()
      #expect(
        try await eventually {
          try await fixture.raw("GET", "/livez", headers: ["X-Forwarded-For": "192.0.2.1"]).status == 200
        })
      #expect(second.closeCode == nil && other.closeCode == nil)
    }
  }

  static let page = "https://kin.example"

  @Test func answersPagesOfTheListOnly() async throws {
    try await RelayFixture.run({ $0.allowedOrigins = [Self.page, "http://localhost:3000"] }) { fixture in
      let alice = try await fixture.person("alice")
      for origin in [Self.page, "http://localhost:3000"] {
        let answer = try await fixture.raw("GET", "/v1/accounts/me", token: alice.token, headers: ["Origin": origin])
        #expect(answer.status == 200)
        #expect(answer.headers.values(for: "Access-Control-Allow-Origin") == [origin])
        #expect(answer.headers["Vary"] == "Origin" && answer.headers["Access-Control-Allow-Credentials"] == nil)
        // Refusals can be read by the page as well.
        let refusal = try await fixture.raw("GET", "/v1/accounts/me", headers: ["Origin": origin])
        #expect(refusal.status == 401 && refusal.headers["Access-Control-Allow-Origin"] == origin)
      }
      for origin in [
        "https://evil.example", "null", "*", "", "https://kin.example.evil.example", "https://kin.example:8443",
        "http://kin.example", "https://KIN.example", "https://kin.example/",
        "https://kin.example, https://evil.example",
        "https://evil.example/https://kin.example", "https://kin.example@evil.example", "file://",
      ] {
        for (method, path) in [("GET", "/v1/accounts/me"), ("POST", "/v1/rooms"), ("OPTIONS", "/v1/rooms")] {
          let answer = try await fixture.raw(
            method, path, token: alice.token, headers: ["Origin": origin, "Access-Control-Request-Method": "POST"])
          #expect(try answer.problem() == "forbidden", "\(origin) \(method)")
          #expect(!answer.headers.fields.contains { $0.name.lowercased().hasPrefix("access-control") })
        }
      }
      var twice: HTTPHeaders = ["Origin": Self.page]
      twice.append("Origin", "https://evil.example")
      #expect(try await fixture.raw("GET", "/v1/accounts/me", token: alice.token, headers: twice).status == 403)
      // A client that is no page needs nobody's leave, and gets no such fields.
      let plain = try await fixture.raw("GET", "/v1/accounts/me", token: alice.token)
      #expect(plain.status == 200 && plain.headers["Access-Control-Allow-Origin"] == nil)
      #expect(plain.headers["Vary"] == "Origin")
    }
  }

  @Test func answersPreflights() async throws {
    try await RelayFixture.run({ $0.allowedOrigins = [Self.page] }) { fixture in
      func ask(_ path: String, _ headers: HTTPHeaders) async throws -> HTTPResponse {
        try await fixture.raw("OPTIONS", path, headers: headers)
      }
      let question: HTTPHeaders = [
        "Origin": Self.page, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
      ]
      let answer = try await ask("/v1/rooms", question)
      #expect(answer.status == 204 && answer.headers["Access-Control-Allow-Origin"] == Self.page)
      #expect(answer.headers["Access-Control-Allow-Methods"]?.split(separator: ", ").sorted() == ["GET", "POST"])
      #expect(answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type")
      #expect(answer.headers["Access-Control-Max-Age"] == "600")
      #expect(answer.headers["Access-Control-Allow-Credentials"] == nil)
      #expect(try await ask("/v1/nowhere", question).problem() == "not_found")
      #expect(try await ask("/v1/rooms", ["Origin": Self.page]).problem() == "method_not_allowed")
      #expect(try await ask("/v1/rooms", ["Access-Control-Request-Method": "POST"]).status == 405)
    }
    // Without a list there are no pages at all.
    try await RelayFixture.run { fixture in
      let answer = try await fixture.raw(
        "OPTIONS", "/v1/rooms", headers: ["Origin": Self.page, "Access-Control-Request-Method": "POST"])
      #expect(try answer.problem() == "forbidden")
      #expect(try await fixture.call(.live).headers["Vary"] == nil)
    }
  }

  /// Attack 45: no page of another site opens a socket, not even with a token, and no token goes by the URL.
  @Test func socketsOpenForPagesOfTheListOnly() async throws {
    try await RelayFixture.run({ $0.allowedOrigins = [Self.page] }) { fixture in
      let alice = try await fixture.person("alice")
      for token in [nil, alice.token] {
        for origin in ["https://evil.example", "null", "*", "https://kin.example.evil.example", "http://kin.example"] {
          await #expect(throws: NetworkError(.upgradeRefused, ""), "\(origin)") {
            _ = try await Socket(fixture, token: token, origin: origin)
          }
        }
      }
      let socket = try await Socket(fixture, token: alice.token, origin: Self.page)
      try await socket.expectReady(alice.device)
      let inURL = try await WebSocketClient().connect(
        try fixture.url("\(Route.socket.path)?access_token=\(alice.token)", scheme: "ws"),
        subprotocol: Route.subprotocol)
      inURL.close()
      for await message in inURL { Issue.record("the relay answered \(message)") }
    }
  }

  /// A stranger cannot make the relay keep what only members may send.
  @Test func strangersSendLittle() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      let body = [UInt8](repeating: UInt8(ascii: " "), count: Limits.jsonBody + 1)
      let path = Route.commit.path("\(room)")
      #expect(try await fixture.raw("POST", path, token: alice.token, body: body).status == 400)
      for token in [nil, "x", alice.token + "A"] {
        // The relay may have ended the connection while the client was still sending.
        guard let answer = try? await fixture.raw("POST", path, token: token, body: body) else { continue }
        #expect(try answer.problem() == "too_large")
      }
    }
  }
}
