import Foundation
import Testing

@testable import Networking

/// The requests of `Corpus/`, each with its verdict; the README there says how they are written.
struct CorpusCase: Sendable, CustomTestStringConvertible {
  let name: String
  let bytes: [UInt8]
  /// How many requests are complete.
  let requests: Int
  /// What follows: a refusal, or `nil`.
  let status: Int?
  /// Whether more is awaited after them.
  let waits: Bool

  var testDescription: String { name }

  /// What a client of a live server is answered.
  var statuses: [Int] { [Int](repeating: 200, count: requests) + (waits ? [408] : status.map { [$0] } ?? []) }

  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Corpus")

  struct Malformed: Error { let line: String }

  static func load(_ files: String...) throws -> [CorpusCase] {
    try files.flatMap { file in
      let text = try String(contentsOf: folder.appending(path: file + ".txt"), encoding: .utf8)
      var cases: [CorpusCase] = []
      for line in text.split(separator: "\n") where !line.hasPrefix("#") {
        if line.hasPrefix("| "), let last = cases.popLast() {
          cases.append(last.with(try unescaped(line.dropFirst(2))))
        } else if line.hasPrefix("["), let end = line.firstIndex(of: "]") {
          let words = line[line.index(after: end)...].split(separator: " ")
          guard let requests = words.first.flatMap({ Int($0) }) else { throw Malformed(line: String(line)) }
          let rest = words.dropFirst().first
          let name = String(line[line.index(after: line.startIndex)..<end])
          cases.append(
            CorpusCase(
              name: name, bytes: [], requests: requests, status: rest.flatMap { Int($0) }, waits: rest == "wait"))
        } else {
          throw Malformed(line: String(line))
        }
      }
      return cases
    }
  }

  private func with(_ more: [UInt8]) -> CorpusCase {
    CorpusCase(name: name, bytes: bytes + more, requests: requests, status: status, waits: waits)
  }

  private static func unescaped(_ line: Substring) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Array(line.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "{"), let end = rest.firstIndex(of: UInt8(ascii: "}")) {
        let parts = rest[..<end].split(separator: UInt8(ascii: ":"))
        guard parts.count == 2, parts[1].count == 1, let one = parts[1].first,
          let count = Int(String(decoding: parts[0], as: UTF8.self))
        else { throw Malformed(line: String(line)) }
        bytes += [UInt8](repeating: one, count: count)
        rest = rest[(end + 1)...]
      } else if byte == UInt8(ascii: "\\") {
        switch rest.popFirst() {
        case UInt8(ascii: "r"): bytes.append(0x0d)
        case UInt8(ascii: "n"): bytes.append(0x0a)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "0"): bytes.append(0)
        case UInt8(ascii: "\\"): bytes.append(0x5c)
        case UInt8(ascii: "x"):
          guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
            throw Malformed(line: String(line))
          }
          bytes.append(value)
          rest = rest.dropFirst(2)
        default: throw Malformed(line: String(line))
        }
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }
}

/// nginx in a process of its own before a server, with all that it writes in a folder that goes with it.
final class NginxProcess: Sendable {
  let folder: String
  let port: UInt16
  /// A second port, whose bodies are passed on as they come.
  let streamingPort: UInt16
  private let process: Process

  /// - Throws: when nginx cannot be started or does not listen: `./dev test` installs it.
  init(before upstream: String, extra: String = "") async throws {
    folder = NSTemporaryDirectory() + "kin-nginx-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    (port, streamingPort) = (try freePort(), try freePort())
    let proxy = """
      proxy_pass http://kin; proxy_http_version 1.1;
      proxy_set_header Host $host; proxy_set_header X-Request-ID $request_id;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $kin_connection;
      """
    let configuration = """
      daemon off; master_process off; pid \(folder)/pid; error_log \(folder)/error.log;
      events { worker_connections 1024; }
      http {
        log_format kin '$request_id $request_method $request_uri';
        access_log \(folder)/access.log kin;
        client_body_temp_path \(folder)/body; proxy_temp_path \(folder)/proxy; fastcgi_temp_path \(folder)/fastcgi;
        uwsgi_temp_path \(folder)/uwsgi; scgi_temp_path \(folder)/scgi;
        client_header_timeout 2; client_body_timeout 2; keepalive_timeout 2; lingering_timeout 1; lingering_time 1; client_max_body_size 8m;
        map $http_upgrade $kin_connection { default upgrade; '' ''; }
        upstream kin { server \(upstream); keepalive 8; }
        server { listen 127.0.0.1:\(port); location / { \(proxy) \(extra) } }
        server { listen 127.0.0.1:\(streamingPort); location / { \(proxy) \(extra) proxy_request_buffering off; } }
      }
      """
    try configuration.write(toFile: folder + "/nginx.conf", atomically: true, encoding: .utf8)
    process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/sbin/nginx")
    process.arguments = ["-p", folder, "-e", folder + "/error.log", "-c", folder + "/nginx.conf"]
    try process.run()
    for _ in 0..<1000 where !isListening(streamingPort) { try await Task.sleep(for: .milliseconds(10)) }
    _ = try RawSocket(SocketAddress(host: "127.0.0.1", port: port))
  }

  var accessLog: String { get throws { try String(contentsOfFile: folder + "/access.log", encoding: .utf8) } }

  deinit {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: folder)
  }
}

private func isListening(_ port: UInt16) -> Bool {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  defer { close(descriptor) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = inet_addr("127.0.0.1")
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}

/// A port that nobody uses at present.
func freePort() throws -> UInt16 {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  defer { close(descriptor) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = inet_addr("127.0.0.1")
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let result = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, length) | getsockname(descriptor, $0, &length)
    }
  }
  try #require(result == 0)
  return UInt16(bigEndian: address.sin_port)
}
