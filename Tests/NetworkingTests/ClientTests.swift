import Foundation
import Testing

@testable import Networking

/// Our client against servers that misbehave.
@Suite("The client")
struct ClientTests {
  /// A server of one thread that answers each connection with fixed bytes, then closes or waits.
  private func withAnswer(
    _ answer: String, closes: Bool = true, connections: Int = 1, _ body: (WebURL) async throws -> Void
  ) async throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    inet_pton(AF_INET, "127.0.0.1", &name.sin_addr)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, length)
        _ = listen(descriptor, 8)
        _ = getsockname(descriptor, $0, &length)
      }
    }
    let port = UInt16(bigEndian: name.sin_port)
    Thread.detachNewThread {
      var open: [Int32] = []
      for _ in 0..<connections {
        let peer = accept(descriptor, nil, nil)
        _ = fcntl(peer, F_SETFD, FD_CLOEXEC)
        var buffer = [UInt8](repeating: 0, count: 4096)
        _ = recv(peer, &buffer, buffer.count, 0)
        let bytes = Array(answer.utf8)
        _ = Glibc.send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        if closes { Glibc.close(peer) } else { open.append(peer) }
      }
      if !closes { _ = usleep(3_000_000) }
      for peer in open { Glibc.close(peer) }
      Glibc.close(descriptor)
    }
    try await body(try WebURL("http://127.0.0.1:\(port)/"))
  }

  private func outcome(_ request: HTTPClientRequest, _ configuration: HTTPClient.Configuration = .init()) async
    -> String
  {
    do {
      let response = try await HTTPClient(configuration: configuration).send(request)
      return "\(response.status) \(String(decoding: response.body, as: UTF8.self))"
    } catch {
      return error.code.rawValue
    }
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok"), ("HTTP/1.0 200 OK\r\n\r\nall of it", "200 all of it"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "closed"), ("", "closed"), ("HTTP/1.1 200 OK\r\nCont", "closed"),
    ("SSH-2.0-OpenSSH_9\r\n\r\n", "protocolViolation"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", "tooLarge"),
    ("HTTP/1.1 101 X\r\nUpgrade: y\r\n\r\n", "protocolViolation"),
    ("HTTP/1.1 301 Moved\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", "301 "),
  ])
  func takesAnswers(answer: String, expected: String) async throws {
    try await withAnswer(answer) { url in
      #expect(await outcome(HTTPClientRequest(.get, url)) == expected)
    }
  }

  @Test func givesUpInTimeAndWhenCancelled() async throws {
    try await withAnswer("HTTP/1.1 200 OK\r\n", closes: false) { url in
      #expect(await outcome(HTTPClientRequest(.get, url, timeout: .milliseconds(100))) == "timedOut")
    }
    try await withAnswer("", closes: false) { url in
      let task = Task { await outcome(HTTPClientRequest(.get, url)) }
      try await Task.sleep(for: .milliseconds(50))
      task.cancel()
      #expect(await task.value == "cancelled")
      let early = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return await outcome(HTTPClientRequest(.get, url))
      }
      #expect(await early.value == "cancelled")
    }
  }

  @Test func saysWhyItCannotConnect() async throws {
    // A port that was just free.
    var free: WebURL?
    try await withServer { _, address in free = try WebURL("http://\(address)/") }
    let url = try #require(free)
    #expect(await outcome(HTTPClientRequest(.get, url)) == "refused")
    #expect(await outcome(HTTPClientRequest(.get, try WebURL("http://no-such-host.invalid/"))) == "dnsFailed")
    #expect(await outcome(HTTPClientRequest(.get, try WebURL("ws://127.0.0.1/"))) == "misuse")
    #expect(NetworkError(.refused, "").isRetryable)
    #expect(!NetworkError(.tlsFailed, "").isRetryable)
  }

  @Test func usesAFreshConnectionWhenTheKeptOneIsGone() async throws {
    // The first server closes after each answer without having said so.
    try await withAnswer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", connections: 3) { url in
      let client = HTTPClient()
      for _ in 0..<3 {
        let response = try await client.send(HTTPClientRequest(.get, url))
        #expect(response.status == 200)
      }
    }
  }

  @Test func doesNotTakeBytesThatNobodyAskedFor() async throws {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    try await withAnswer(answer, closes: false, connections: 2) { url in
      let client = HTTPClient()
      for _ in 0..<2 {
        let response = try await client.send(HTTPClientRequest(.get, url))
        #expect(response.body == Array("ok".utf8))
      }
    }
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
  ])
  func refusesAFalseWebSocket(answer: String) async throws {
    try await withAnswer(answer) { url in
      await #expect(throws: NetworkError.self) {
        _ = try await WebSocketClient().connect(url.with(scheme: .ws))
      }
    }
  }
}
