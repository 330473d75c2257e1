import Foundation
import Testing

@testable import Networking

/// Others' clients against our server and our clients against others' servers, directly and with nginx between.
@Suite("Independent peers")
struct PeerTests {
  private func withServerForPeers(_ body: (SocketAddress) async throws -> Void) async throws {
    try await withServer(configure: { $0.maxBodyBytes = 8_000_000 }) { _, address in try await body(address) }
  }

  @Test(arguments: ["http_clients.py", "ws_clients.py", "ws_client.js"])
  func servesOthersClients(script: String) async throws {
    try await withServerForPeers { try await Peer.run(script, $0.port) }
  }

  /// The same through nginx. It answers what is too large or not spoken itself, so only what gets through is asked.
  @Test func servesThemThroughNginx() async throws {
    try await withServerForPeers { address in
      let nginx = try await NginxProcess(before: "\(address)")
      for script in ["ws_clients.py", "ws_client.js", "http_clients.py"] {
        try await Peer.run(script, nginx.port)
      }
      try await Peer.run("http_clients.py", nginx.streamingPort)
    }
  }

  @Test func ourClientSpeaksThroughNginx() async throws {
    try await withServerForPeers { address in
      let nginx = try await NginxProcess(before: "\(address)")
      try await echoes(HTTPClient(), "http://127.0.0.1:\(nginx.port)/")
      try await speaks("ws://127.0.0.1:\(nginx.port)/echo", verbs: false)
    }
  }

  private func echoes(_ client: HTTPClient, _ url: String) async throws {
    let url = try WebURL(url)
    for method in [HTTPMethod.post, .put, .patch] {
      for size in [0, 1, 4096, 1_000_000] {
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let answer = try await client.send(HTTPClientRequest(method, url, body: body))
        #expect(answer.status == 200 && answer.body == body, "\(method) \(size): \(answer.status)")
        #expect(answer.headers["X-Method"] == nil || answer.headers["X-Method"] == method.rawValue)
      }
    }
    try await withThrowingTaskGroup { group in
      for number in 0..<50 {
        group.addTask {
          let body = Array("\(number)".utf8)
          let answer = try await client.send(HTTPClientRequest(.post, url, body: body))
          #expect(answer.body == body)
        }
      }
      try await group.waitForAll()
    }
    client.close()
  }

  @Test func ourClientReadsEveryFraming() async throws {
    let server = try await PeerServer("http_server.py")
    for (index, path) in [(0, "/length"), (0, "/chunked"), (1, "/"), (2, "/")] {
      let client = HTTPClient()
      let url = try WebURL("http://127.0.0.1:\(server.ports[index])\(path)")
      if index == 0 { try await echoes(client, "\(url)") }
      for size in [0, 1, 300_000] {
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let answer = try await client.send(HTTPClientRequest(.post, url, body: body))
        #expect(answer.status == 200 && answer.body == body, "\(url) \(size)")
      }
      client.close()
    }
    let client = HTTPClient()
    for status in [200, 204, 304, 404, 429, 500, 503] {
      let url = try WebURL("http://127.0.0.1:\(server.port)/status/\(status)")
      let answer = try await client.send(HTTPClientRequest(.get, url))
      #expect(answer.status == status && (status == 204 || status == 304 ? answer.body.isEmpty : true))
      #expect(try await client.send(HTTPClientRequest(.head, url)).body.isEmpty)
    }
    client.close()
  }

  @Test(arguments: [["ws_server.py", "websockets"], ["ws_server.py", "aiohttp"], ["ws_server.js", ""]])
  func ourClientSpeaksToOthersServers(words: [String]) async throws {
    let server = try await PeerServer(words[0], words[1])
    try await speaks("ws://127.0.0.1:\(server.port)/", verbs: true)
  }

  private func speaks(_ url: String, verbs: Bool) async throws {
    let socket = try await WebSocketClient().connect(WebURL(url), subprotocol: "kin.v1")
    var iterator = socket.makeAsyncIterator()
    for size in [0, 1, 125, 126, 65535, 65536, 900_000] {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try await socket.send(binary: bytes)
      #expect(await iterator.next() == .binary(bytes))
    }
    socket.connection.execute { $0.send(text: "é€😀") }
    #expect(await iterator.next() == .text("é€😀"))
    for number in 0..<300 { try await socket.send(binary: Array("\(number)".utf8)) }
    for number in 0..<300 { #expect(await iterator.next() == .binary(Array("\(number)".utf8))) }
    guard verbs else {
      socket.close(.init(4003), reason: "bye")
      #expect(await iterator.next() == nil)
      #expect(socket.closeCode?.rawValue == 4003)
      return
    }
    for size in [0, 1, 60, 62, 63, 64, 32768, 500_000] {
      socket.connection.execute { $0.send(text: "text:\(size)") }
      #expect(await iterator.next() == .text(String(repeating: "é", count: size)))
      socket.connection.execute { $0.send(text: "binary:\(size)") }
      #expect(await iterator.next() == .binary([UInt8](repeating: UInt8(ascii: "b"), count: size)))
    }
    socket.connection.execute { $0.send(text: "fragments") }
    #expect(await iterator.next() == .text("fragments é"))
    socket.connection.execute { $0.send(text: "ping") }
    #expect(await iterator.next() == .text("pong"))
    socket.connection.execute { $0.send(text: "close:4005") }
    #expect(await iterator.next() == nil)
    #expect(socket.closeCode?.rawValue == 4005 && socket.closeReason == "reason é")
    // And from our side, whatever may be sent.
    for code: UInt16 in [1000, 1001, 1011, 3000, 4999] {
      let other = try await WebSocketClient().connect(WebURL(url), subprotocol: "kin.v1")
      other.close(.init(code), reason: "reason é")
      var rest = other.makeAsyncIterator()
      #expect(await rest.next() == nil)
      #expect(other.closeCode?.rawValue == code)
    }
  }
}
