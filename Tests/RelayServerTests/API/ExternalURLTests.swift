import CryptoPrimitives
import FoundationEssentials
import Networking
import RelayProtocol
import Testing

@testable import RelayServer

/// Another issuer's keys by URL, from a real web server that changes its mind, goes away, and misbehaves.
struct ExternalURLTests {
  private func run(
    _ url: String, _ configure: @escaping (inout RelayConfiguration) -> Void = { _ in },
    _ body: (RelayFixture, ExternalAPITests.Visitor) async throws -> Void
  ) async throws {
    try await RelayFixture.run({ settings in
      (settings.externalIssuer, settings.externalAudience) = (TestIssuer.name, TestIssuer.audience)
      (settings.externalJWKSURL, settings.externalJWKSPause) = (url, .zero)
      configure(&settings)
    }) { fixture in try await body(fixture, try ExternalAPITests.Visitor("a", at: fixture)) }
  }

  @Test func keysRotateAndTheIssuerMayGoAway() async throws {
    let issuer = try IssuerServer(keys: TestIssuer.set([TestIssuer.key(.rs256)]))
    try await run(issuer.url()) { fixture, alice in
      let (old, new) = (TestIssuer.key(.rs256), TestIssuer.key(.es256))
      #expect(try await alice.register(try TestIssuer.token("a", name: "alice", by: old)).status == 201)
      #expect(try await alice.logIn(try TestIssuer.token("a", by: new)).status == 401)
      try issuer.publish(TestIssuer.set([new, old]))
      #expect(try await alice.logIn(try TestIssuer.token("a", by: new)).status == 201)
      // Away: who has a token under a known key comes in, and others do not.
      issuer.stop()
      #expect(try await alice.logIn(try TestIssuer.token("a", by: old)).status == 201)
      #expect(try await alice.logIn(try TestIssuer.token("a")).problem() == "external_token_invalid")
      #expect(try await alice.logIn(try TestIssuer.token("a", by: new)).status == 201)
      // Back, with the old key withdrawn.
      try issuer.publish(TestIssuer.set([new]))
      try issuer.start()
      fixture.relay.reload()
      let isForgotten = try await eventually { try await alice.logIn(try TestIssuer.token("a", by: old)).status == 401 }
      #expect(isForgotten)
      #expect(try await alice.logIn(try TestIssuer.token("a", by: new)).status == 201)
    }
  }

  /// The relay starts without its issuer, says so to whom it concerns, and finds it by itself.
  @Test func theIssuerMayComeLater() async throws {
    let issuer = try IssuerServer(isRunning: false)
    try await run(issuer.url()) { fixture, alice in
      let response = try await alice.register(name: "alice")
      #expect(try response.problem() == "unavailable" && response.headers["Retry-After"] != nil)
      let local = try await fixture.person("bob")
      #expect(local.name == "bob")
      try issuer.start()
      #expect(try await alice.register(name: "alice").status == 201)
    }
  }

  @Test func unknownNamesOfKeysAreAskedForSeldom() async throws {
    let issuer = try IssuerServer()
    try await run(issuer.url(), { $0.externalJWKSPause = .seconds(60) }) { fixture, alice in
      #expect(try await alice.register(name: "alice").status == 201)
      for index in 0..<30 {
        let token = try TestIssuer.token("a", by: TestIssuer.Key(.edDSA, id: "unknown-\(index)"))
        #expect(try await alice.logIn(token).status == 401)
      }
      #expect(issuer.questions == 1)
      // Nor does anybody make the relay ask by what it refuses for another reason.
      #expect(try await alice.logIn(try TestIssuer.token("a", ["iss": "\"https://evil.example\""])).status == 401)
      #expect(issuer.questions == 1)
    }
  }

  @Test(arguments: ["/redirect", "/error", "/huge", "/garbage"]) func whatIsNoSetIsNotTaken(_ path: String) async throws
  {
    let issuer = try IssuerServer()
    try await run(issuer.url(path)) { _, alice in
      let code = try await alice.register(name: "alice").problem()
      #expect(code == "unavailable")
      #expect(issuer.questions >= 1)
    }
  }

  /// An issuer that takes the question and never answers holds up nobody but who needs its answer.
  @Test func aSilentIssuerHoldsUpNobodyElse() async throws {
    let issuer = try IssuerServer()
    try await run(issuer.url("/slow"), { $0.loops = 1 }) { fixture, alice in
      async let waiting = alice.register(name: "alice")
      let isAsked = try await eventually { issuer.questions == 1 }
      #expect(isAsked)
      let clock = ContinuousClock.now
      for name in ["bob", "carol"] {
        let person = try await fixture.person(name)
        _ = try await person.socket()
      }
      #expect(ContinuousClock.now - clock < KeySetSource.timeout / 2)
      issuer.stop()
      #expect(try await waiting.problem() == "unavailable")
    }
  }

  @Test func theIssuerMustProveWhoItIs() async throws {
    let issuer = try IssuerServer(isSecure: true)
    let url = issuer.url(host: "localhost", scheme: "https")
    try await run(url, { $0.externalAuthoritiesFile = issuer.certificate }) { _, alice in
      let status = try await alice.register(name: "alice").status
      #expect(status == 201)
    }
    // The right certificate for another name, and one of nobody's that the system knows.
    try await run(issuer.url(scheme: "https"), { $0.externalAuthoritiesFile = issuer.certificate }) { _, alice in
      let code = try await alice.register(name: "alice").problem()
      #expect(code == "unavailable")
    }
    try await run(url) { _, alice in
      let code = try await alice.register(name: "alice").problem()
      #expect(code == "unavailable")
    }
  }

  @Test func settingsFitTogether() throws {
    func finding(_ lines: String...) -> String? {
      do {
        _ = try RelayCommand.parse([], environment: ["KIN_RELAY_CONFIG": "f"]) { _ in lines.joined(separator: "\n") }
        return nil
      } catch { return error.description }
    }
    let (issuer, audience) = ("external-issuer = \(TestIssuer.name)", "external-audience = kin")
    let (file, url) = ("external-jwks-file = /k", "external-jwks-url = https://sso.example/jwks")
    #expect(finding(issuer, audience, file) == nil && finding(issuer, audience, url) == nil)
    for lines in [
      [issuer], [audience], [file], [url], [issuer, file], [issuer, audience], [issuer, audience, file, url],
    ] {
      #expect(finding(lines.joined(separator: "\n")) != nil, "\(lines)")
    }
    #expect(finding(issuer, audience, file, "external-jwks-authorities = /c") != nil)
    #expect(finding(issuer, audience, url, "external-jwks-authorities = /c", "external-registration = open") == nil)
    for bad in [
      "http://sso.example/jwks", "ftp://sso.example", "https://", "https://user:pass@sso.example/", "sso.example",
      "http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "http://128.0.0.1/", "ws://127.0.0.1/",
      "https://a/#x",
    ] {
      #expect(!ExternalIssuer.isKeyURL(bad) && finding(issuer, audience, "external-jwks-url = \(bad)") != nil, "\(bad)")
    }
    for good in [
      "http://127.0.0.1:8080/jwks", "http://[::1]/k", "http://localhost/k", "https://sso.example:8443/a?b=c",
    ] {
      #expect(finding(issuer, audience, "external-jwks-url = \(good)") == nil, "\(good)")
    }
    #expect(finding(issuer, audience, file, "external-registration = opne") != nil)
    #expect(finding(issuer, audience, file, "external-jwks-interval = 5s") != nil)
  }
}
