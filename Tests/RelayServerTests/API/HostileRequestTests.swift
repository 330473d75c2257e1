import CryptoPrimitives
import Glibc
import Networking
import RelayProtocol
import Testing

@testable import RelayServer

struct HostileRequestTests {
  @Test func everyRouteHasAnEndpoint() {
    #expect(Set(API.endpoints.keys) == Set(Route.all.filter { $0 != .socket }))
  }

  @Test func everySessionRouteNeedsAToken() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let keys = try TokenKeys.load(file: fixture.folder + "/data/token-keys")
      let tokens = AccessTokens(keys: keys, issuer: "kin-relay", audience: "kin-relay")
      let now = Relay.wallClock()
      let session = try tokens.check(alice.token, now: now).session
      let caller = Caller(user: alice.user, device: alice.device, session: session, expires: now + 60_000)
      // Control: a token made like this is good.
      #expect(try await fixture.raw("GET", "/v1/accounts/me", token: try tokens.issue(caller, now: now)).status == 200)

      var bad: [(token: String, code: String)] = []
      var other = caller
      other.session += 1
      bad.append((try tokens.issue(other, now: now), "session_ended"))
      other = caller
      other.user = .random()
      bad.append((try tokens.issue(other, now: now), "session_ended"))
      other = caller
      other.device = .random()
      bad.append((try tokens.issue(other, now: now), "session_ended"))
      other = caller
      other.expires = now - 60_000
      bad.append((try tokens.issue(other, now: now - 600_000), "token_expired"))
      bad.append((try tokens.issue(caller, now: now + 40_000), "unauthenticated"))
      for (issuer, audience) in [("kin-relay", "other"), ("other", "kin-relay")] {
        let forger = AccessTokens(keys: keys, issuer: issuer, audience: audience)
        bad.append((try forger.issue(caller, now: now), "unauthenticated"))
      }
      let stranger = AccessTokens(
        keys: TokenKeys(signing: .generate()), issuer: "kin-relay", audience: "kin-relay")
      bad.append((try stranger.issue(caller, now: now), "unauthenticated"))
      let parts = alice.token.split(separator: ".").map(String.init)
      let none = Base64URL(Array(#"{"alg":"none","typ":"at+jwt","kid":"\#(keys.signingID)"}"#.utf8)).text
      bad.append(("\(none).\(parts[1]).", "unauthenticated"))
      bad.append(("\(none).\(parts[1]).\(parts[2])", "unauthenticated"))
      bad.append((String(repeating: "A", count: 5000), "unauthenticated"))

      for route in Route.all where route.authorization == .session {
        let path = route.path("\(RoomID.random())")
        #expect(try await fixture.raw(route.method.rawValue, path).problem() == "unauthenticated", "\(path)")
        for (token, code) in bad {
          #expect(try await fixture.raw(route.method.rawValue, path, token: token).problem() == code, "\(path)")
        }
      }
      for header in [
        "Basic YWxpY2U6cGFzcw==", "Bearer", "Bearer  \(alice.token)", alice.token, "Bearer \(alice.token) x",
      ] {
        let response = try await fixture.raw("GET", "/v1/accounts/me", headers: ["Authorization": header])
        #expect(try response.problem() == "unauthenticated")
        #expect(response.headers["WWW-Authenticate"] == "Bearer" && response.headers["Cache-Control"] == "no-store")
      }
      // A token in the URL is no token.
      let inURL = try await fixture.raw("GET", "/v1/accounts/me?access_token=\(alice.token)")
      #expect(try inURL.problem() == "unauthenticated")
      for (token, _) in bad {
        await #expect(throws: NetworkError(.upgradeRefused, "")) { _ = try await Socket(fixture, token: token) }
        let socket = try await Socket(fixture, token: nil)
        if token.utf8.count <= Limits.token { try await socket.send(.authenticate(token: token)) }
        if token.utf8.count > Limits.token { try await socket.stream.send(binary: [1, 0x5f, 0x40]) }
        let code = try #require(try await socket.closeCode())
        #expect([4000, 4001, 4002, 4003].contains(code))
      }
    }
  }

  @Test func refusesWhatItDoesNotKnow() async throws {
    try await RelayFixture.run { fixture in
      for path in ["/", "/v1", "/v1/", "/v1/rooms/x/y/z", "/v2/rooms", "/v1/accounts/", "/metrics", "/v1/ROOMS"] {
        #expect(try await fixture.raw("GET", path).problem() == "not_found", "\(path)")
      }
      for (method, path) in [("PUT", "/v1/accounts"), ("GET", "/v1/poll"), ("PATCH", "/v1/rooms"), ("TRACE", "/livez")]
      {
        let response = try await fixture.raw(method, path)
        #expect(try response.problem() == "method_not_allowed")
        #expect(response.headers["Allow"] != nil)
      }
      #expect(try await fixture.raw("GET", "/v1/socket").problem() == "invalid_request")
      for probe in [Route.live, .ready] { #expect(try await fixture.call(probe).status == 200) }
    }
  }

  @Test func survivesAnyBody() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      var generator = SystemRandomNumberGenerator()
      let deep = [UInt8](repeating: UInt8(ascii: "["), count: 200_000)
      let bodies: [[UInt8]] = [
        [], Array("{".utf8), Array("null".utf8), Array("[]".utf8), Array("{}".utf8), Array("\"x\"".utf8), deep,
        Array(#"{"username":1,"password":{},"deviceList":[]}"#.utf8), Array("{\"room\":\"\u{0}\"}".utf8),
        Array(#"{"sendID":"x","kind":9,"epoch":-1,"message":"=="}"#.utf8), [0xff, 0xfe, 0x00],
        [UInt8](repeating: 0, count: 5000),
        Array(#"{"cursors":[],"wait":1e999}"#.utf8),
        (0..<3000).map { _ in UInt8.random(in: .min ... .max, using: &generator) },
      ]
      for route in Route.all where route.method == .post || route.method == .put {
        let path = route.path(route.path.contains("{user}") ? "alice" : "\(room)")
        for body in bodies where !route.path.hasSuffix("claim") && route != .askBack {
          let response = try await fixture.raw(route.method.rawValue, path, token: alice.token, body: body)
          // Publishing no key packages at all is not wrong, nor is polling for nothing.
          #expect((400..<500).contains(response.status), "\(path) \(response.status) \(body.prefix(40))")
        }
      }
      let huge = [UInt8](repeating: UInt8(ascii: " "), count: Limits.jsonBody + 1)
      for (route, path) in [(Route.register, "/v1/accounts"), (.poll, "/v1/poll")] {
        let response = try? await fixture.raw(route.method.rawValue, path, token: alice.token, body: huge)
        // The connection may end before the answer is read: the client still has megabytes to send.
        if let response { #expect(try response.problem() == "too_large") }
      }
      let _: AccountResponse = try await alice.call(.me)
    }
  }

  @Test func survivesAnyBytesOnTheConnection() async throws {
    try await RelayFixture.run { fixture in
      var generator = SystemRandomNumberGenerator()
      for round in 0..<60 {
        var bytes = (0..<Int.random(in: 1...4000, using: &generator)).map { _ in
          UInt8.random(in: .min ... .max, using: &generator)
        }
        if round % 3 == 0 { bytes = Array("GET /v1/socket HTTP/1.1\r\n".utf8) + bytes }
        if round % 3 == 1 {
          bytes = Array("POST /v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".utf8) + bytes
        }
        try sendRaw(bytes, port: fixture.relay.port)
      }
      #expect(try await fixture.call(.live).status == 200)
    }
  }

  private func sendRaw(_ bytes: [UInt8], port: UInt16) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(connected == 0)
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    shutdown(descriptor, Int32(SHUT_WR))
    var answer = [UInt8](repeating: 0, count: 4096)
    while recv(descriptor, &answer, answer.count, 0) > 0 {}
  }

  @Test func throttlesByAccountAndAddress() async throws {
    try await RelayFixture.run(
      {
        ($0.requestBurst, $0.requestsPerSecond) = (5, 1)
        ($0.visitorAttemptBurst, $0.visitorAttemptsPerMinute) = (2, 1)
      }, clock: { 1_800_000_000_000 }
    ) { fixture in
      let alice = try await fixture.person("alice")
      var refused = 0
      for _ in 0..<10 where try await fixture.call(.me, token: alice.token).status == 429 { refused += 1 }
      #expect(refused == 5)
      _ = try await fixture.person("bob")
      let third = try await fixture.raw("POST", "/v1/accounts", body: [1], headers: ["X-Forwarded-For": "10.9.8.7"])
      #expect(try third.problem() == "rate_limited")
      #expect(third.headers["Retry-After"] != nil)
    }
  }
}
