import BenchKit
import Glibc
import Networking

/// A server in a process of its own, to which sockets are opened: the relay or a peer of it.
protocol BenchServer: AnyObject, Sendable {
  var name: String { get }
  var pid: pid_t { get }
  var dialect: Dialect { get }
  func connect(
    _ handler: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
  ) async throws -> WebSocketConnection
  func stop()
}

/// A broker or broadcaster that others wrote: it stores nothing and checks nobody.
final class PeerServer: BenchServer, @unchecked Sendable {
  let name: String
  let dialect: Dialect
  private let child: Child
  private let url: WebURL
  private let tls: TLSClientContext?
  private let folder: Folder

  var pid: pid_t { child.pid }

  private init(
    _ name: String, _ dialect: Dialect, _ child: consuming Child, port: UInt16, in folder: Folder,
    trusting certificate: Certificate? = nil
  ) throws {
    (self.name, self.dialect, self.folder) = (name, dialect, folder)
    self.child = child
    tls = try certificate.map { try TLSClientContext(trustedCertificates: $0.file) }
    url = try WebURL("\(certificate == nil ? "ws" : "wss")://127.0.0.1:\(port)/")
  }

  /// uWebSockets' bare broadcast; `nil` where its package is not there.
  static func uWebSockets(_ certificate: Certificate? = nil) throws -> PeerServer? {
    guard let python = getenv("KIN_BENCH_PYTHON") else { return nil }
    let folder = try Folder()
    let files = certificate.map { [$0.file, $0.keyFile] } ?? []
    let child = try Child(
      String(cString: python), ["Benchmarks/peers/uws_broadcast.py"] + files, output: folder.path + "/out")
    guard let port = Child.port(from: folder.path + "/out") else {
      child.stop(SIGKILL)
      throw Child.Failed(what: "uWebSockets did not come up")
    }
    return try PeerServer("uWebSockets", .bare, child, port: port, in: folder, trusting: certificate)
  }

  static func nats() throws -> PeerServer? {
    guard let program = found("nats-server") else { return nil }
    let folder = try Folder()
    let (port, other) = (try freePort(), try freePort())
    try folder.write(
      "conf", "listen: \"127.0.0.1:\(other)\"\nwebsocket { listen: \"127.0.0.1:\(port)\"\n no_tls: true }\n")
    let child = try Child(program, ["-c", folder.path + "/conf"], output: folder.path + "/out", quiet: true)
    return try PeerServer("nats-server", .nats, child, port: port, in: folder).whenListening()
  }

  static func mosquitto() throws -> PeerServer? {
    guard let program = found("mosquitto") else { return nil }
    let folder = try Folder()
    let (port, other) = (try freePort(), try freePort())
    // Without the plain listener 2.0.11 ends; without the domain its WebSockets are open to the network.
    try folder.write(
      "conf",
      """
      listener \(other) 127.0.0.1
      listener \(port) 127.0.0.1
      socket_domain ipv4
      protocol websockets
      allow_anonymous true
      log_type none
      user root
      max_queued_messages 0

      """)
    let child = try Child(program, ["-c", folder.path + "/conf"], output: folder.path + "/out", quiet: true)
    return try PeerServer("mosquitto", .mqtt, child, port: port, in: folder).whenListening()
  }

  func connect(
    _ handler: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
  ) async throws -> WebSocketConnection {
    var configuration = WebSocketClient.Configuration()
    configuration.tls = tls
    return try await WebSocketClient(configuration: configuration).connect(
      url, subprotocol: dialect.subprotocol, handler: handler)
  }

  // Some do not end by themselves: an interpreter hears no signal while a loop runs.
  func stop() { child.end(SIGKILL) }

  private func whenListening() throws -> PeerServer? {
    for _ in 0..<200 {
      if Self.isListening(url.port) { return self }
      usleep(25_000)
    }
    stop()
    throw Child.Failed(what: "\(name) did not come up")
  }

  private static func found(_ program: String) -> String? {
    ["/usr/bin/", "/usr/sbin/"].map { $0 + program }.first { access($0, X_OK) == 0 }
  }

  private static func withSocket<Result>(
    _ port: UInt16, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) throws -> Result
  ) rethrows -> Result {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return try withUnsafePointer(to: &address) { address in
      try address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        try body(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  private static func isListening(_ port: UInt16) -> Bool { withSocket(port) { Glibc.connect($0, $1, $2) == 0 } }

  private static func freePort() throws -> UInt16 {
    try withSocket(0) { socket, address, length in
      var name = sockaddr_in()
      var size = length
      let isBound = withUnsafeMutablePointer(to: &name) { name in
        name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(socket, address, length) == 0 && getsockname(socket, $0, &size) == 0
        }
      }
      guard isBound else { throw Child.Failed(what: "no free port") }
      return UInt16(bigEndian: name.sin_port)
    }
  }
}

/// A folder that goes with the run.
final class Folder: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/kin-bench.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Child.Failed(what: "mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func write(_ name: String, _ text: String) throws {
    guard let file = fopen(path + "/" + name, "wx") else { throw Child.Failed(what: "cannot write \(name)") }
    defer { fclose(file) }
    guard chmod(path + "/" + name, 0o600) == 0, fputs(text, file) >= 0 else {
      throw Child.Failed(what: "cannot write \(name)")
    }
  }

  deinit {
    guard path.hasPrefix("/tmp/kin-bench.") else { return }
    try? Child("/bin/rm", ["-rf", path]).succeed()
  }
}

/// A certificate for loopback, made for this run.
final class Certificate: Sendable {
  private let folder: Folder
  var file: String { folder.path + "/certificate.pem" }
  var keyFile: String { folder.path + "/key.pem" }

  init() throws {
    folder = try Folder()
    let subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    try Child(
      "/usr/bin/openssl", ["req", "-x509"] + key + subject + ["-days", "2", "-keyout", keyFile, "-out", file],
      quiet: true
    ).succeed()
  }
}
