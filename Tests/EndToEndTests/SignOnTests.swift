import Foundation
import Glibc
import Testing

/// A team's single sign-on over real processes: tokens and keys made by the `openssl` command, the relay, its administrator,
/// and chat-cli.
@Suite struct SignOnTests {
  /// An issuer of RS256 tokens that has nothing of ours.
  private struct Issuer {
    let folder: TemporaryFolder
    static let name = "https://sso.example/realms/team"

    /// Makes the key and its set; and a token for each call with `token SUBJECT NAME`.
    private static let script = """
      import base64, json, subprocess, sys, time
      folder, verb, *rest = sys.argv[1:]
      def url(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
      def openssl(*words, data=None):
          return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout
      key = folder + "/issuer.pem"
      if verb == "keys":
          openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
          modulus = openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip().split("=")[1]
          jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": url(bytes.fromhex(modulus)), "e": "AQAB"}
          json.dump({"keys": [jwk]}, open(folder + "/jwks.json", "w"))
      else:
          now = int(time.time())
          claims = {"iss": "\(name)", "aud": ["account", "kin"], "sub": rest[0], "preferred_username": rest[1],
                    "exp": now + 300, "iat": now, "jti": f"{rest[0]}-{time.time_ns()}", "realm_access": {"roles": ["user"]}}
          parts = [url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT", "kid": "k1"}, claims)]
          signed = ".".join(parts)
          signature = openssl("dgst", "-sha256", "-sign", key, data=signed.encode())
          print(signed + "." + url(signature))
      """

    init() async throws {
      folder = try TemporaryFolder()
      _ = try await run("keys")
    }

    var keys: String { folder.path("jwks.json") }

    func token(_ subject: String, _ name: String) async throws -> String { try await run("token", subject, name) }

    private func run(_ words: String...) async throws -> String {
      let number = UUID().uuidString
      let (output, errors) = (folder.path("out.\(number)"), folder.path("err.\(number)"))
      // Through env, which finds programs by their names.
      let pid = try Spawned.start(
        "/usr/bin/env", ["python3", "-c", Self.script, folder.path(".")] + words, output: output, errors: errors)
      let result = try await Running(pid: pid, input: -1, output: output, errors: errors).result()
      guard result.exit == 0 else { throw TimedOut(what: "the issuer: \(result.errors)") }
      return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
  }

  @Test func aTeamComesInByItsSingleSignOnAndTalks() async throws {
    let issuer = try await Issuer()
    let relay = try await RelayProcess([
      "--external-issuer", Issuer.name, "--external-audience", "kin", "--external-jwks-file", issuer.keys,
      "--external-registration", "open", "--password-memory-kib", "8",
    ])
    // With a password, as before.
    let bob = try await Person("bob", at: relay)
    let alice = try Person(unregistered: "alice", keeping: relay)
    let register = ["register", "--relay", relay.url, "--key-file", alice.folder.path("key"), "--sso-token-file", "-"]

    // Another's name is not had by being called alike elsewhere.
    let taken = try await alice.start(register, input: try await issuer.token("s-9", "bob") + "\n").result()
    #expect(taken.exit == 5 && taken.errors.contains("is taken"), "\(taken.errors)")
    let token = try await issuer.token("s-1", "Alice@team.example")
    let registered = try await alice.start(register + ["--json"], input: token + "\r\n").result()
    try #require(registered.exit == 0, "\(registered.errors)")
    #expect(registered.output.contains("\"username\":\"alice\""))

    try await alice.must("room", "create", "Garden")
    try await alice.must("room", "invite", "Garden", "bob")
    try await alice.must("send", "Garden", "in by single sign-on")
    #expect(try await bob.history("Garden").map(\.text) == ["in by single sign-on"])
    try await bob.must("send", "Garden", "welcome")
    #expect(try await alice.history("Garden").map(\.text) == ["in by single sign-on", "welcome"])

    // A token is good once; a fresh one begins a session again, and a stranger's none.
    try await alice.must("logout")
    #expect(try await alice.run("send", "Garden", "nobody hears this").exit == 6)
    let file = alice.folder.path("token")
    func logIn(_ person: Person, _ token: String) async throws -> Person.Result {
      try token.write(toFile: file, atomically: true, encoding: .utf8)
      return try await person.run("login", "--sso-token-file", file, "--json")
    }
    let spent = try await logIn(alice, token)
    #expect(spent.exit == 6 && spent.errors.contains("external_token_invalid"), "\(spent.errors)")
    let stranger = try await logIn(alice, try await issuer.token("s-2", "alice"))
    #expect(stranger.exit == 5 && stranger.errors.contains("identity_unknown"), "\(stranger.errors)")
    #expect(try await logIn(alice, try await issuer.token("s-1", "renamed")).exit == 0)
    try await alice.must("send", "Garden", "back")

    // Who had a password before gets an identity from the administrator, and disabling ends it all.
    #expect(try await logIn(bob, try await issuer.token("s-3", "bob")).exit == 5)
    #expect(try await relay.perform("admin", "users", "link", "bob", Issuer.name, "s-3").exit == 0)
    #expect(try await logIn(bob, try await issuer.token("s-3", "bob")).exit == 0)
    #expect(try await bob.history("Garden").map(\.text).last == "back")
    #expect(try await relay.perform("admin", "users", "disable", "alice").exit == 0)
    let disabled = try await logIn(alice, try await issuer.token("s-1", "alice"))
    #expect(disabled.exit == 5 && disabled.errors.contains("account_disabled"), "\(disabled.errors)")
    let log = try String(contentsOfFile: relay.logPath, encoding: .utf8)
    #expect(!log.contains("s-1") && !log.contains("alice") && !log.contains(token.suffix(20)))
  }
}
