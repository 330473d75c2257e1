import Foundation
import Glibc
import Synchronization

/// A Redis of the test's own, without a disk: what it knew is gone when it ends.
package final class RedisServer: Sendable {
  package let port: UInt16
  private let folder: ServerFolder
  private let arguments: [String]
  private let process = Mutex<ServerProcess?>(nil)

  /// - Parameter options: further words for `redis-server`.
  package init(_ options: String...) throws {
    folder = try ServerFolder()
    port = try Loopback.lastingPort()
    arguments =
      [
        "--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder.path,
        "--daemonize", "no",
      ] + options
    try start()
  }

  package func start() throws {
    let server = try ServerProcess("redis-server", arguments, name: "redis", in: folder)
    process.withLock { $0 = server }
    try server.untilItListens(on: port)
  }

  package func kill(_ signal: Int32 = SIGKILL) {
    let server = process.withLock { process in
      defer { process = nil }
      return process
    }
    server?.kill(signal)
  }

  /// Runs one command and returns the first line of the answer.
  @discardableResult
  package func command(_ words: String...) throws -> String { try command(words) }

  @discardableResult
  package func command(_ words: [String]) throws -> String {
    guard let descriptor = Loopback.connect(port) else { throw ServerFailure("redis does not answer") }
    defer { close(descriptor) }
    var text = "*\(words.count)\r\n"
    for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
    return try Self.exchange(descriptor, Array(text.utf8))
  }

  /// Says a message of any bytes on a channel.
  package func publish(_ message: [UInt8], on channel: String) throws {
    guard let descriptor = Loopback.connect(port) else { throw ServerFailure("redis does not answer") }
    defer { close(descriptor) }
    let head = "*3\r\n$7\r\nPUBLISH\r\n$\(channel.utf8.count)\r\n\(channel)\r\n$\(message.count)\r\n"
    _ = try Self.exchange(descriptor, Array(head.utf8) + message + Array("\r\n".utf8))
  }

  private static func exchange(_ descriptor: Int32, _ bytes: [UInt8]) throws -> String {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { throw ServerFailure("redis takes nothing") }
      rest = rest.dropFirst(count)
    }
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !answer.contains(10) {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { throw ServerFailure("redis does not answer") }
      answer += buffer[..<count]
    }
    return String(decoding: answer.prefix { $0 != 13 }, as: UTF8.self)
  }
}
