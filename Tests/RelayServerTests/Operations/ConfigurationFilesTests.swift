import FoundationEssentials
import Glibc
import Testing

@testable import RelayServer

struct ConfigurationFilesTests {
  @Test func looksAtTheFilesThatSettingsName() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func make(_ name: String, _ mode: mode_t, _ content: String = "x") throws -> String {
      let path = folder + "/\(name)"
      try Data(content.utf8).write(to: URL(fileURLWithPath: path))
      chmod(path, mode)
      return path
    }
    var configuration = RelayConfiguration()
    configuration.dataDirectory = folder + "/data"
    func texts() -> [String] { configuration.fileFindings.map(\.text) }
    #expect(texts().isEmpty)
    configuration.tlsCertificateFile = try make("certificate", 0o644)
    configuration.tlsKeyFile = try make("key", 0o640)
    // Nothing against the files as such; what stands in them is looked at then.
    let unreadable = "tls-certificate and tls-key: the certificate file cannot be read as a PEM chain"
    #expect(texts() == [unreadable])

    for mode: mode_t in [0o604, 0o644, 0o601, 0o602, 0o666] {
      chmod(folder + "/key", mode)
      #expect(texts() == ["tls-key: anybody can read this secret"], "\(mode)")
      #expect(configuration.fileFindings.first?.hint == "chmod o= mends it")
    }
    chmod(folder + "/key", 0o600)
    chmod(folder + "/certificate", 0o646)
    #expect(texts() == ["tls-certificate: anybody can change this file"])
    configuration.tlsCertificateFile = folder
    configuration.tlsKeyFile = folder + "/none"
    #expect(texts() == ["tls-certificate: this is not a file", "tls-key: there is no such file"])
    #expect(configuration.fileFindings.allSatisfy { $0.hint != nil })
    (configuration.tlsCertificateFile, configuration.tlsKeyFile) = (nil, nil)
    configuration.dataDirectory = folder + "/none/data"
    #expect(texts() == ["data: the folder does not exist and cannot be made"])
    configuration.dataDirectory = folder + "/key"
    #expect(texts() == ["data: this is not a folder"])
    mkdir(folder + "/open", 0o777)
    chmod(folder + "/open", 0o777)
    configuration.dataDirectory = folder + "/open"
    #expect(texts() == ["data: anybody can write into the folder"])
    // What stands inside is looked at even where something else is wrong.
    configuration.externalJWKSFile = folder + "/key"
    configuration.externalAuthoritiesFile = folder + "/key"
    configuration.redisPasswordFile = try make("empty", 0o600, "")
    #expect(texts().count == 4 && texts()[1].hasPrefix("external-jwks-authorities: "), "\(texts())")
    #expect(
      texts()[2...] == [
        "redis-password-file cannot be read, or is empty",
        "external-jwks-file holds no JWK Set with a usable public key",
      ])
  }

  @Test func takesSystemdsCredentials() throws {
    func parse(_ value: String, _ environment: [String: String]) throws -> RelayConfiguration {
      let command = try RelayCommand.parse(
        ["--tls-key", value, "--tls-certificate", "c"], environment: environment, readFile: { _ in nil })
      guard case .serve(let configuration) = command else { throw Refusal(code: "no relay") }
      return configuration
    }
    let environment = ["CREDENTIALS_DIRECTORY": "/run/credentials/kin.service"]
    #expect(try parse("credential:tls", environment).tlsKeyFile == "/run/credentials/kin.service/tls")
    #expect(try parse("credential", environment).tlsKeyFile == "credential")
    for value in ["credential:", "credential:../tls", "credential:a/b", "credential:.."] {
      #expect(throws: ConfigurationError.self) { try parse(value, environment) }
    }
    #expect(throws: ConfigurationError.self) { try parse("credential:tls", [:]) }
  }

  /// Whatever is a secret can only be named as a file.
  @Test func secretsStandInFiles() {
    // A time, and where public keys are, which may name nobody and no password.
    let harmless = ["access-token-lifetime", "external-jwks-url"]
    for url in ["https://kin:password@id.example/keys", "https://kin@id.example/keys"] {
      #expect(!ExternalIssuer.isKeyURL(url))
    }
    for setting in RelaySetting.all where setting.kind != .secretFile && !harmless.contains(setting.name) {
      let words = setting.name.split(separator: "-")
      #expect(
        !words.contains { ["secret", "token", "url", "key"].contains($0) },
        "\(setting.name): if it holds a secret, make it a file with isSecret; else name it otherwise")
    }
  }

  @Test func theProgramRefusesAKeyThatAnybodyCanRead() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let made = try await Peer.run([
      "openssl", "req", "-x509", "-days", "2", "-subj", "/CN=kin", "-newkey", "ec", "-pkeyopt",
      "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder + "/key", "-out", folder + "/certificate",
    ])
    #expect(made.exit == 0, "\(made.output)")
    chmod(folder + "/key", 0o644)
    let arguments = [
      RelayProgram.path, "--data", folder + "/data", "--listen", "127.0.0.1:0", "--tls-key", folder + "/key",
      "--tls-certificate", folder + "/certificate",
    ]
    for extra in [[], ["--check-config"]] {
      let result = try await Peer.run(arguments + extra, seconds: 20)
      #expect(result.exit == 1 && result.output.contains("tls-key: anybody can read this secret"), "\(result.output)")
    }
    chmod(folder + "/key", 0o600)
    let result = try await Peer.run(arguments + ["--check-config"], seconds: 20)
    #expect(result.exit == 0 && result.output.contains("tls-key = \(folder)/key\n"), "\(result.output)")
    #expect(!FileManager.default.fileExists(atPath: folder + "/data"))
    // A key of another certificate: read, and found not to fit.
    let other = try await Peer.run([
      "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", folder + "/key",
    ])
    #expect(other.exit == 0, "\(other.output)")
    chmod(folder + "/key", 0o600)
    let unfit = try await Peer.run(arguments + ["--check-config"], seconds: 20)
    #expect(
      unfit.exit == 1 && unfit.output.contains("--tls-certificate: tls-certificate and tls-key: the key"),
      "\(unfit.output)")
  }
}
