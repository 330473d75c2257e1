import Foundation
import Synchronization
import Testing

@testable import Networking

@Suite("TLS on real sockets")
struct TLSTests {
  private func withTLSServer(
    _ certificate: String = "good", handler: EchoHandler = EchoHandler(),
    configure: (inout HTTPServer.Configuration) -> Void = { _ in },
    _ body: (HTTPServer, SocketAddress, TLSClientContext) async throws -> Void
  ) async throws {
    let files = try Certificates.shared.get()
    let context = try TLSServerContext(certificateFile: files.certificate(certificate), keyFile: files.key(certificate))
    let trust = try TLSClientContext(trustedCertificates: files.authority)
    try await withServer(
      handler: handler,
      configure: {
        $0.tls = context
        $0.maxBodyBytes = 20_000_000
        configure(&$0)
      }
    ) { server, address in try await body(server, address, trust) }
  }

  private func client(_ trust: TLSClientContext?) -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    configuration.tls = trust
    configuration.connectTimeout = .seconds(10)
    return HTTPClient(configuration: configuration)
  }

  @Test func carriesRequestsBothWays() async throws {
    try await withTLSServer { server, address, trust in
      let client = client(trust)
      for size in [0, 1, 1000, 16384, 16385, 100_000, 5_000_000] {
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 9) }
        let response = try await client.send(
          HTTPClientRequest(.post, WebURL("https://localhost:\(address.port)/"), body: body))
        #expect(response.body == body)
        #expect(response.headers["X-Secure"] == "1")
      }
      #expect(server.connectionCount == 1)
      // An address in the certificate is an address.
      let other = try await client.send(HTTPClientRequest(.get, WebURL("https://127.0.0.1:\(address.port)/")))
      #expect(other.status == 200)
      client.close()
    }
  }

  @Test func carriesWebSockets() async throws {
    try await withTLSServer { _, address, trust in
      var configuration = WebSocketClient.Configuration()
      configuration.tls = trust
      let socket = try await WebSocketClient(configuration: configuration).connect(
        WebURL("wss://localhost:\(address.port)/"))
      var iterator = socket.makeAsyncIterator()
      for size in [0, 1, 20_000, 900_000] {
        let bytes = [UInt8](repeating: UInt8(size & 255), count: size)
        try await socket.send(binary: bytes)
        #expect(await iterator.next() == .binary(bytes))
      }
      socket.close(WebSocketCloseCode(4002))
      #expect(await iterator.next() == nil)
      #expect(socket.closeCode == WebSocketCloseCode(4002))
    }
  }

  @Test func aSlowReaderSlowsTheServerThroughTLS() async throws {
    let log = SocketLog()
    try await withTLSServer(handler: EchoHandler(socketEvents: log)) { _, address, trust in
      var configuration = WebSocketClient.Configuration()
      configuration.tls = trust
      let socket = try await WebSocketClient(configuration: configuration).connect(
        WebURL("wss://localhost:\(address.port)/silent"))
      try await log.until { $0.connections.count == 1 }
      let connection = try #require(log.state.withLock { $0.connections.first })
      let sender = Task {
        var number = 0
        while number < 3000 {
          let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 10_000)
          let taken: Bool = try await connection.loop.perform { $0(.success(connection.send(binary: payload))) }
          if taken { number += 1 } else { try await Task.sleep(for: .milliseconds(1)) }
        }
      }
      try await log.until { $0.slow > 0 }
      var iterator = socket.makeAsyncIterator()
      var wrong = 0
      for number in 0..<3000 {
        if await iterator.next() != .binary([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 10_000)) {
          wrong += 1
        }
      }
      #expect(wrong == 0)
      try await sender.value
      socket.close()
    }
  }

  @Test(arguments: ["wrong", "expired"])
  func refusesACertificate(name: String) async throws {
    try await withTLSServer(name) { _, address, trust in
      await #expect(throws: NetworkError(.tlsFailed, "")) {
        _ = try await client(trust).send(HTTPClientRequest(.get, WebURL("https://localhost:\(address.port)/")))
      }
    }
  }

  @Test func refusesAnAuthorityThatItDoesNotTrust() async throws {
    try await withTLSServer { server, address, _ in
      let other = try TLSClientContext(trustedCertificates: Certificates.shared.get().otherAuthority)
      for trust in [other, nil] {
        await #expect(throws: NetworkError(.tlsFailed, "")) {
          _ = try await client(trust).send(HTTPClientRequest(.get, WebURL("https://localhost:\(address.port)/")))
        }
      }
      await #expect(throws: NetworkError(.tlsFailed, "")) {
        _ = try await WebSocketClient().connect(WebURL("wss://localhost:\(address.port)/"))
      }
    }
  }

  @Test func doesNotSpeakPlainToTLSOrTLSToPlain() async throws {
    try await withTLSServer { _, address, _ in
      let socket = try RawSocket(address)
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(!(await socket.readAll().contains("200")))
      await #expect(throws: NetworkError.self) {
        _ = try await client(nil).send(HTTPClientRequest(.get, WebURL("http://\(address)/")))
      }
    }
    try await withServer { _, address in
      await #expect(throws: NetworkError.self) {
        _ = try await client(nil).send(HTTPClientRequest(.get, WebURL("https://localhost:\(address.port)/")))
      }
    }
  }

  @Test func endsAHandshakeThatDawdles() async throws {
    try await withTLSServer(configure: { $0.headTimeout = .milliseconds(150) }) { _, address, _ in
      let socket = try RawSocket(address)
      socket.write([0x16, 0x03, 0x01])
      #expect(await socket.readAll() == "")
    }
  }

  @Test func refusesOldVersionsAndOtherProtocols() async throws {
    try await withTLSServer { _, address, _ in
      let base = ["openssl", "s_client", "-connect", "127.0.0.1:\(address.port)", "-brief"]
      for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let modern = try await detached { try run(base + [version, "-alpn", "http/1.1"]) }
        #expect(modern.output.contains("CONNECTION ESTABLISHED") && modern.output.contains("version: \(name)"))
      }
      for version in ["-tls1_1", "-tls1"] {
        let old = try await detached { try run(base + [version, "-cipher", "ALL:@SECLEVEL=0"]) }
        #expect(!old.output.contains("CONNECTION ESTABLISHED"))
        // The server said so: it was not this client that would not.
        #expect(old.output.contains("alert protocol version"), "\(old.output)")
      }
      // Nothing without a key exchange of its own, or without authenticated encryption.
      for cipher in ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "AES256-SHA"] {
        let weak = try await detached { try run(base + ["-tls1_2", "-cipher", "\(cipher):@SECLEVEL=0"]) }
        #expect(weak.output.contains("alert handshake failure"), "\(weak.output)")
      }
      let other = try await detached { try run(base + ["-alpn", "h2"]) }
      #expect(!other.output.contains("CONNECTION ESTABLISHED"))
    }
  }

  /// What is open goes on under the old certificate, what begins sees the new one; a broken file changes nothing.
  @Test func takesANewCertificateWithoutDroppingAnybody() async throws {
    let files = try Certificates.shared.get()
    let folder = files.directory + "/reload"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    func put(_ name: String, key: String? = nil) throws {
      for (from, to) in [(files.certificate(name), "cert"), (files.key(key ?? name), "key")] {
        try Data(contentsOf: URL(fileURLWithPath: from)).write(to: URL(fileURLWithPath: "\(folder)/\(to)"))
      }
    }
    try put("good")
    let context = try TLSServerContext(certificateFile: folder + "/cert", keyFile: folder + "/key")
    let trust = try TLSClientContext(trustedCertificates: files.authority)
    try await withServer(configure: { $0.tls = context }) { server, address in
      func subject() async throws -> String {
        try await detached {
          try run([
            "sh", "-c",
            "openssl s_client -connect 127.0.0.1:\(address.port) </dev/null 2>/dev/null | openssl x509 -noout -subject",
          ]).output
        }
      }
      var configuration = WebSocketClient.Configuration()
      configuration.tls = trust
      let socket = try await WebSocketClient(configuration: configuration).connect(
        WebURL("wss://localhost:\(address.port)/"))
      var iterator = socket.makeAsyncIterator()
      #expect(try await subject().contains("CN = good"))
      for (certificate, key) in [("renewed", "good"), ("good", "renewed")] {
        try put(certificate, key: key)
        #expect(throws: NetworkError(.tlsFailed, "")) { try context.reload() }
        #expect(try await subject().contains("CN = good"))
      }
      try put("renewed")
      try context.reload()
      #expect(try await subject().contains("CN = renewed"))
      try await socket.send(binary: [1, 2, 3])
      #expect(await iterator.next() == .binary([1, 2, 3]))
      #expect(socket.closeCode == nil)
    }
  }

  @Test func saysWhatIsWrongWithFiles() throws {
    let files = try Certificates.shared.get()
    #expect(throws: NetworkError(.tlsFailed, "")) {
      _ = try TLSServerContext(certificateFile: "/nowhere", keyFile: files.key("good"))
    }
    #expect(throws: NetworkError(.tlsFailed, "")) {
      _ = try TLSServerContext(certificateFile: files.certificate("good"), keyFile: files.key("wrong"))
    }
    #expect(throws: NetworkError(.tlsFailed, "")) { _ = try TLSClientContext(trustedCertificates: "/nowhere") }
  }

  @Test func servesCurl() async throws {
    let files = try Certificates.shared.get()
    try await withTLSServer { _, address, _ in
      let url = "https://localhost:\(address.port)/a/b?c=d"
      let good = try await detached {
        try run(["curl", "-sS", "-i", "--cacert", files.authority, "--data-binary", "hello", url, url])
      }
      #expect(good.status == 0, "\(good.output)")
      #expect(good.output.components(separatedBy: "hello").count == 3)
      #expect(good.output.contains("X-Segments: a|b"))
      let bad = try await detached { try run(["curl", "-sS", "--cacert", files.otherAuthority, url]) }
      #expect(bad.status == 60)
    }
  }
}

/// Runs what blocks on a thread of its own.
func detached<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}
