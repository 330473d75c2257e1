import Foundation
import Glibc
import Networking
import Testing

/// A relay process that serves TLS itself, and is given another certificate while it runs.
struct CertificateTests {
  /// An authority and certificates of that name, made by openssl(1).
  private struct Authority {
    let folder: TemporaryFolder
    var file: String { folder.path("ca.pem") }

    init() throws {
      folder = try TemporaryFolder()
      try openssl(
        "req -x509 -days 2 -subj /CN=ca -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem"
      )
    }

    func certify(_ name: String) throws {
      try "subjectAltName=DNS:localhost,IP:127.0.0.1"
        .write(toFile: folder.path("names"), atomically: true, encoding: .utf8)
      try openssl(
        "req -new -subj /CN=\(name) -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout \(name).key "
          + "-out \(name).csr")
      try openssl(
        "x509 -req -in \(name).csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out \(name).pem")
    }

    /// Puts a certificate and a key where the relay reads them.
    func install(_ certificate: String, key: String) throws {
      for (from, to) in [("\(certificate).pem", "relay.pem"), ("\(key).key", "relay.key")] {
        try Data(contentsOf: URL(fileURLWithPath: folder.path(from)))
          .write(to: URL(fileURLWithPath: folder.path(to)), options: .atomic)
        // The relay takes no key that anybody could read.
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder.path(to))
      }
    }

    private func openssl(_ arguments: String) throws {
      _ = try shell("cd '\(folder.url.path)' && openssl \(arguments)")
    }
  }

  private struct Failed: Error { var output: String }

  @discardableResult
  private static func shell(_ script: String, mayFail: Bool = false) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", script]
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, pipe)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard mayFail || process.terminationStatus == 0 else { throw Failed(output: output) }
    return output
  }

  @Test func takesANewCertificateOnHangupAndKeepsTheOldOneIfItIsBroken() async throws {
    let authority = try Authority()
    for name in ["first", "second"] { try authority.certify(name) }
    try authority.install("first", key: "first")
    let relay = try await RelayProcess([
      "--tls-certificate", authority.folder.path("relay.pem"), "--tls-key", authority.folder.path("relay.key"),
    ])
    func subject() throws -> String {
      try Self.shell(
        "openssl s_client -connect 127.0.0.1:\(relay.port) -CAfile '\(authority.file)' -verify_return_error </dev/null "
          + "2>/dev/null | openssl x509 -noout -subject")
    }
    func log() throws -> String { try String(contentsOfFile: relay.logPath, encoding: .utf8) }
    #expect(try subject().contains("CN = first"))
    for version in ["-tls1_1", "-tls1"] {
      let old = try Self.shell(
        "openssl s_client -connect 127.0.0.1:\(relay.port) \(version) -cipher ALL:@SECLEVEL=0 </dev/null", mayFail: true
      )
      #expect(old.contains("alert protocol version"), "\(old)")
    }

    // A connection that lives through it all: a socket, answered under the first certificate.
    var configuration = WebSocketClient.Configuration()
    configuration.tls = try TLSClientContext(trustedCertificates: authority.file)
    let socket = try await WebSocketClient(configuration: configuration).connect(
      WebURL("wss://localhost:\(relay.port)/v1/socket"), subprotocol: "kin.v1")

    // A key that is not the certificate's, then no certificate at all: the old pair stays, and the log warns.
    try authority.install("second", key: "first")
    relay.signal(SIGHUP)
    try await wait(for: "a warning", seconds: 60) { try log().contains("cannot be used, the old one stays") }
    #expect(try subject().contains("CN = first"))
    try "nothing".write(toFile: authority.folder.path("relay.pem"), atomically: true, encoding: .utf8)
    relay.signal(SIGHUP)
    try await wait(for: "another warning", seconds: 60) {
      try log().components(separatedBy: "cannot be used, the old one stays").count == 3
    }
    #expect(try subject().contains("CN = first"))

    try authority.install("second", key: "second")
    relay.signal(SIGHUP)
    try await wait(for: "the new certificate", seconds: 60) { try subject().contains("CN = second") }
    #expect(try log().contains("certificate read again"))

    // The socket is still the relay's: it hears a frame that is none, and closes with the relay's own code.
    #expect(socket.closeCode == nil)
    try await socket.send(binary: [0xff])
    for await _ in socket {}
    #expect(socket.closeCode?.rawValue == 4000)
    relay.kill(SIGTERM)
  }
}
