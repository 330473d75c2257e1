import Foundation
import Synchronization
import Testing

@testable import Networking

/// Answers with what it was asked, and echoes on WebSockets.
struct EchoHandler: HTTPHandler {
  var hold: (@Sendable () async -> Void)?
  var bodyLimit = Int.max
  var socketEvents: SocketLog?

  func handle(_ request: HTTPRequest) async -> HTTPResponse {
    if request.segments.first == "hold" { await hold?() }
    if request.segments.first == "big" {
      return HTTPResponse(status: 200, body: [UInt8](repeating: 7, count: Int(request.query("n") ?? "") ?? 0))
    }
    var headers: HTTPHeaders = ["X-Method": request.method.rawValue, "X-Peer": request.peer.host]
    headers.append("X-Segments", request.segments.joined(separator: "|"))
    headers.append("X-Query", request.query.map { "\($0.name)=\($0.value)" }.joined(separator: "|"))
    headers.append("X-Secure", request.isSecure ? "1" : "0")
    return HTTPResponse(status: 200, headers: headers, body: request.body)
  }

  func upgrade(_ request: HTTPRequest) async -> WebSocketDecision {
    guard request.path != "/refuse" else { return .refuse(HTTPResponse(status: 403)) }
    let log = socketEvents
    let isEcho = request.path != "/silent"
    let offered = request.headers["Sec-WebSocket-Protocol"]
    return .accept(subprotocol: offered == "kin.v1" ? offered : nil) { connection in
      EchoSocket(connection: connection, isEcho: isEcho, log: log)
    }
  }

  func bodyLimit(_ method: HTTPMethod, segments: [String], headers: HTTPHeaders) -> Int { bodyLimit }
}

/// What a server's sockets lived through.
final class SocketLog: Sendable {
  struct State {
    var connections: [WebSocketConnection] = []
    var closed: [WebSocketCloseCode] = []
    var slow = 0
    var drained = 0
  }
  let state = Mutex(State())

  func until(_ condition: @Sendable (State) -> Bool) async throws {
    for _ in 0..<2000 {
      if state.withLock({ condition($0) }) { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("it did not happen within ten seconds")
  }
}

final class EchoSocket: WebSocketHandler {
  let connection: WebSocketConnection
  let isEcho: Bool
  let log: SocketLog?

  init(connection: WebSocketConnection, isEcho: Bool, log: SocketLog?) {
    self.connection = connection
    self.isEcho = isEcho
    self.log = log
    log?.state.withLock { $0.connections.append(connection) }
  }

  func received(binary bytes: RawSpan) {
    if isEcho { connection.send(binary: bytes.array(0..<bytes.byteCount)) }
  }
  func received(text: String) { if isEcho { connection.send(text: text) } }
  func closed(_ code: WebSocketCloseCode, reason: String) { log?.state.withLock { $0.closed.append(code) } }
  func slow() { log?.state.withLock { $0.slow += 1 } }
  func drained() { log?.state.withLock { $0.drained += 1 } }
}

/// A value that many tasks may change.
final class Shared<Value: Sendable>: Sendable {
  private let state: Mutex<Value>
  init(_ value: Value) { state = Mutex(value) }
  func withLock<Result: Sendable>(_ body: @Sendable (inout Value) -> Result) -> Result {
    state.withLock { value in body(&value) }
  }
}

/// A number that many count at once.
final class Tally: Sendable {
  private let state = Mutex(0)
  var value: Int { state.withLock { $0 } }
  func raise(by more: Int) { state.withLock { $0 += more } }
  func raise(to other: Int) { state.withLock { $0 = max($0, other) } }
}

/// A server on loops of its own, gone when the body ends.
func withServer(
  loops count: Int = 1, handler: EchoHandler = EchoHandler(),
  configure: (inout HTTPServer.Configuration) -> Void = { _ in },
  _ body: (HTTPServer, SocketAddress) async throws -> Void
) async throws {
  let group = EventLoopGroup(count: count)
  var configuration = HTTPServer.Configuration()
  configure(&configuration)
  let server = HTTPServer(configuration: configuration, loops: group.loops, handler: handler)
  let address = try await server.start()
  let result: Result<Void, any Error>
  do { result = .success(try await body(server, address)) } catch { result = .failure(error) }
  await server.drain(deadline: .milliseconds(500))
  await group.shutdown()
  #expect(server.connectionCount == 0)
  try result.get()
}

/// A plain blocking socket, for what no well-behaved client does.
final class RawSocket: Sendable {
  let descriptor: Int32

  init(_ address: SocketAddress) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = address.port.bigEndian
    inet_pton(AF_INET, address.host, &name.sin_addr)
    let result = withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(result == 0)
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { Glibc.close(descriptor) }

  func write(_ text: String) { write(Array(text.utf8)) }
  func write(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
  func closeOutput() { _ = Glibc.shutdown(descriptor, Int32(SHUT_WR)) }

  /// Everything until the peer closes. On a thread of its own: one that is blocked is missing elsewhere.
  func readAll() async -> String { await detached { self.blockingReadAll() } }

  /// Everything up to and with the text.
  func read(until text: String) async -> String { await detached { self.blockingRead(until: text) } }

  /// That many bytes, or fewer at the end.
  func read(count: Int) async -> [UInt8] {
    await detached {
      var bytes = [UInt8](repeating: 0, count: count)
      let got = recv(self.descriptor, &bytes, count, Int32(MSG_WAITALL))
      return Array(bytes[..<max(0, got)])
    }
  }

  /// What is there, at most that much; nothing at the end.
  func read(upTo count: Int) async -> [UInt8] {
    await detached {
      var bytes = [UInt8](repeating: 0, count: count)
      let got = recv(self.descriptor, &bytes, count, 0)
      return Array(bytes[..<max(0, got)])
    }
  }

  private func detached<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: body()) }
    }
  }

  private func blockingReadAll() -> String {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      all += buffer[..<count]
    }
    return String(decoding: all, as: UTF8.self)
  }

  private func blockingRead(until text: String) -> String {
    var all: [UInt8] = []
    var byte: UInt8 = 0
    while !all.suffix(text.utf8.count).elementsEqual(text.utf8), recv(descriptor, &byte, 1, 0) == 1 { all.append(byte) }
    return String(decoding: all, as: UTF8.self)
  }
}

/// The outcome of a program, its output included.
func run(_ arguments: [String], input: String = "") throws -> (status: Int32, output: String) {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = arguments
  let output = Pipe()
  process.standardOutput = output
  process.standardError = output
  process.standardInput = FileHandle.nullDevice
  try process.run()
  let data = output.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: data, as: UTF8.self))
}

/// A certificate authority of the test's own and what it signed, made by openssl(1) once per run.
struct Certificates: Sendable {
  let directory: String
  var authority: String { directory + "/ca.pem" }
  var otherAuthority: String { directory + "/other.pem" }
  func certificate(_ name: String) -> String { "\(directory)/\(name).pem" }
  func key(_ name: String) -> String { "\(directory)/\(name).key" }

  static let shared = Result { try Certificates() }

  private init() throws {
    directory = NSTemporaryDirectory() + "kin-tls-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ["ca", "other"] {
      try openssl(
        ["req", "-x509", "-days", "2", "-subj", "/CN=\(name)", "-keyout", key(name), "-out", certificate(name)] + curve)
    }
    for (name, subject, days) in [
      ("good", "DNS:localhost,IP:127.0.0.1", "2"), ("renewed", "DNS:localhost,IP:127.0.0.1", "2"),
      ("wrong", "DNS:elsewhere.example", "2"),
      ("expired", "DNS:localhost,IP:127.0.0.1", "-1"),
    ] {
      let request = "\(directory)/\(name).csr"
      let extensions = "\(directory)/\(name).ext"
      try "subjectAltName=\(subject)".write(toFile: extensions, atomically: true, encoding: .utf8)
      try openssl(["req", "-new", "-subj", "/CN=\(name)", "-keyout", key(name), "-out", request] + curve)
      try openssl([
        "x509", "-req", "-in", request, "-CA", authority, "-CAkey", key("ca"), "-CAcreateserial", "-days", days,
        "-extfile", extensions, "-out", certificate(name),
      ])
    }
  }

  private func openssl(_ arguments: [String]) throws {
    let result = try run(["openssl"] + arguments)
    try #require(result.status == 0, "openssl: \(result.output)")
  }
}

/// Feeds bytes to an HTTP machine in pieces; the events as text, so that tables are short.
func http(
  _ role: HTTP1Machine.Role, _ bytes: [UInt8], piece: Int, limits: HTTP1Machine.Limits = .init(), toHead: Bool = false,
  closes: Bool = false
) -> [String] {
  var machine = HTTP1Machine(role: role, limits: limits)
  machine.startNext(toHead: toHead)
  var events: [String] = []
  func tell(_ event: HTTP1Machine.Event) {
    switch event {
    case .request(let head): events.append("\(head.method) \(head.path)\(head.query.map { "?\($0)" } ?? "")")
    case .response(let head): events.append("\(head.status)")
    case .end:
      events.append("end " + String(decoding: machine.takeBody(), as: UTF8.self))
      machine.startNext()
    }
  }
  do throws(NetworkError) {
    for start in stride(from: 0, to: bytes.count, by: piece) {
      let part = Array(bytes[start..<min(bytes.count, start + piece)])
      var offset = 0
      while let event = try machine.next(part.span.bytes, &offset) { tell(event) }
    }
    if closes, let event = try machine.inputEnded() { tell(event) }
  } catch {
    events.append("error \(error.status.map { "\($0)" } ?? error.code.rawValue)")
  }
  return events
}

/// The same for a WebSocket machine.
func webSocket(_ role: WebSocketMachine.Role, _ bytes: [UInt8], piece: Int, max: Int = 1 << 20) -> [String] {
  var machine = WebSocketMachine(role: role, maxMessageBytes: max)
  var events: [String] = []
  do throws(WebSocketFault) {
    for start in stride(from: 0, to: bytes.count, by: piece) {
      let part = Array(bytes[start..<min(bytes.count, start + piece)])
      var offset = 0
      while let event = try machine.next(part.span.bytes, &offset) {
        switch event {
        case .binary(let payload):
          events.append("binary \(payload.count) \(payload.reduce(0) { ($0 &* 31) &+ Int($1) })")
        case .text(let text): events.append("text \(text)")
        case .ping(let payload): events.append("ping \(payload)")
        case .pong(let payload): events.append("pong \(payload)")
        case .close(let code, let reason): events.append("close \(code) \(reason)")
        }
      }
    }
  } catch {
    events.append("fault \(error.code)")
  }
  return events
}
