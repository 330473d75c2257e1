import Foundation
import Synchronization
import Testing

@testable import Networking

@Suite("A server on real sockets")
struct ServerTests {
  private func url(_ address: SocketAddress, _ path: String = "/") throws -> WebURL {
    try WebURL("http://\(address)\(path)")
  }

  @Test func answersManyRequestsOnOneConnection() async throws {
    try await withServer { server, address in
      let client = HTTPClient()
      for number in 0..<50 {
        let response = try await client.send(
          HTTPClientRequest(.post, try url(address, "/a/b%2Fc?x=1&y=%20z"), body: Array("body \(number)".utf8)))
        #expect(response.status == 200)
        #expect(response.headers["x-segments"] == "a|b/c")
        #expect(response.headers["X-Query"] == "x=1|y= z")
        #expect(response.headers["X-Peer"] == "127.0.0.1")
        #expect(response.headers["X-Secure"] == "0")
        #expect(response.body == Array("body \(number)".utf8))
      }
      #expect(server.connectionCount == 1)
      client.close()
    }
  }

  @Test func answersConcurrentRequestsOnSeveralLoops() async throws {
    try await withServer(loops: 2) { _, address in
      let client = HTTPClient()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<100 {
          group.addTask {
            let body = [UInt8](repeating: UInt8(number), count: 1000 * number)
            let response = try await client.send(HTTPClientRequest(.put, try url(address), body: body))
            #expect(response.body == body)
          }
        }
        try await group.waitForAll()
      }
      client.close()
    }
  }

  @Test func sendsLargeBodiesBothWays() async throws {
    try await withServer(configure: { $0.maxBodyBytes = 20_000_000 }) { _, address in
      let client = HTTPClient()
      let body = (0..<10_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
      let response = try await client.send(HTTPClientRequest(.post, try url(address), body: body))
      #expect(response.body == body)
      client.close()
    }
  }

  @Test func answersPipelinedRequestsInOrder() async throws {
    try await withServer { _, address in
      let socket = try RawSocket(address)
      let requests = (0..<20).map { "GET /\($0) HTTP/1.1\r\nHost: x\r\n\r\n" }.joined()
      socket.write(requests + "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      let answer = await socket.readAll()
      let segments = answer.split(separator: "\r\n").filter { $0.hasPrefix("X-Segments") }
      #expect(segments.map(String.init) == (0..<20).map { "X-Segments: \($0)" } + ["X-Segments: last"])
      #expect(answer.contains("Connection: close\r\n"))
      #expect(answer.contains("\r\nDate: "))
    }
  }

  @Test func continuesWhenAskedTo() async throws {
    try await withServer(handler: EchoHandler(bodyLimit: 10)) { _, address in
      let socket = try RawSocket(address)
      socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
      #expect(await socket.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
      socket.write("abc")
      #expect(await socket.read(until: "\r\n\r\nabc").hasPrefix("HTTP/1.1 200 OK\r\n"))
      // A body that would be refused is not asked for.
      socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
      #expect(await socket.readAll().hasPrefix("HTTP/1.1 413 "))
    }
  }

  @Test func answersHeadWithoutBody() async throws {
    try await withServer { _, address in
      let client = HTTPClient()
      let head = try await client.send(HTTPClientRequest(.head, try url(address, "/big?n=5000")))
      #expect(head.headers["Content-Length"] == "5000")
      #expect(head.body.isEmpty)
      let get = try await client.send(HTTPClientRequest(.get, try url(address, "/big?n=5000")))
      #expect(get.body.count == 5000)
      client.close()
    }
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\n", 413),
    ("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /%2e%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /?a=%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ("\u{16}\u{3}\u{1}", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n", 426),
    (
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n", 400
    ),
  ])
  func refusesAndCloses(request: String, status: Int) async throws {
    try await withServer { _, address in
      let socket = try RawSocket(address)
      socket.write(request)
      let answer = await socket.readAll()
      #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
      #expect(answer.contains("Connection: close\r\n"))
    }
  }

  @Test func endsConnectionsThatDawdle() async throws {
    try await withServer(configure: {
      $0.headTimeout = .milliseconds(150)
      $0.bodyTimeout = .milliseconds(150)
      $0.keepAliveTimeout = .milliseconds(150)
    }) { _, address in
      let silent = try RawSocket(address)
      let slowHead = try RawSocket(address)
      slowHead.write("GET / HTTP/1.1\r\nHos")
      let slowBody = try RawSocket(address)
      slowBody.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
      let idle = try RawSocket(address)
      idle.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(await silent.readAll() == "")
      #expect(await slowHead.readAll().hasPrefix("HTTP/1.1 408 "))
      #expect(await slowBody.readAll().hasPrefix("HTTP/1.1 408 "))
      let answer = await idle.readAll()
      #expect(answer.hasPrefix("HTTP/1.1 200 "))
      #expect(!answer.contains("408"))
    }
  }

  @Test func cutsAReaderThatNeverReads() async throws {
    try await withServer(configure: { $0.writeTimeout = .milliseconds(200) }) { server, address in
      let socket = try RawSocket(address)
      socket.write("GET /big?n=50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
      for _ in 0..<1000 where server.connectionCount == 0 { try await Task.sleep(for: .milliseconds(2)) }
      for _ in 0..<2000 where server.connectionCount > 0 { try await Task.sleep(for: .milliseconds(5)) }
      #expect(server.connectionCount == 0)
    }
  }

  @Test func boundsConnections() async throws {
    try await withServer(configure: { $0.maxConnectionsPerAddress = 3 }) { server, address in
      let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      let first = try (0..<3).map { _ in try RawSocket(address) }
      for socket in first {
        socket.write(request)
        #expect(await socket.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
      }
      let fourth = try RawSocket(address)
      fourth.write(request)
      #expect(await fourth.readAll().hasPrefix("HTTP/1.1 429 "))
      #expect(server.connectionCount == 3)
    }
  }

  @Test func halfClosedClientGetsItsAnswer() async throws {
    try await withServer { _, address in
      let socket = try RawSocket(address)
      socket.write("GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
      socket.closeOutput()
      #expect(await socket.readAll().hasPrefix("HTTP/1.1 200 OK"))
    }
  }

  @Test func cancelsTheHandlerWhenTheClientLeaves() async throws {
    let flag = Flag()
    try await withServer(
      handler: EchoHandler(hold: {
        try? await Task.sleep(for: .seconds(60))
        if Task.isCancelled { flag.set() }
      })
    ) { server, address in
      do {
        let socket = try RawSocket(address)
        socket.write("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        try await Task.sleep(for: .milliseconds(50))
      }
      for _ in 0..<2000 where !flag.isSet { try await Task.sleep(for: .milliseconds(5)) }
      #expect(flag.isSet)
    }
  }

  @Test func drainLetsRequestsFinish() async throws {
    let gate = Gate()
    let group = EventLoopGroup(count: 2)
    let server = HTTPServer(
      configuration: .init(), loops: group.loops, handler: EchoHandler(hold: { await gate.wait() }))
    let address = try await server.start()
    let idle = try RawSocket(address)
    idle.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    _ = await idle.read(until: "\r\n\r\n")
    let client = HTTPClient()
    async let held = client.send(HTTPClientRequest(.get, try url(address, "/hold/me")))
    await gate.untilSomebodyWaits()
    let socket = try await WebSocketClient().connect(try WebURL("ws://\(address)/"))
    async let drained: Void = server.drain(deadline: .seconds(20))
    #expect(await idle.readAll() == "")
    var iterator = socket.makeAsyncIterator()
    #expect(await iterator.next() == nil)
    #expect(socket.closeCode == .goingAway)
    await #expect(throws: NetworkError(.refused, "")) {
      for _ in 0..<100 {
        _ = try await HTTPClient().send(HTTPClientRequest(.get, try url(address)))
        try await Task.sleep(for: .milliseconds(5))
      }
    }
    await gate.open()
    let response = try await held
    #expect(response.headers["X-Segments"] == "hold|me")
    await drained
    #expect(server.connectionCount == 0)
    await group.shutdown()
  }

  @Test func drainCutsWhatStaysTooLong() async throws {
    let group = EventLoopGroup(count: 1)
    let server = HTTPServer(
      configuration: .init(), loops: group.loops,
      handler: EchoHandler(hold: { try? await Task.sleep(for: .seconds(600)) }))
    let address = try await server.start()
    let held = try RawSocket(address)
    held.write("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in 0..<1000 where server.connectionCount == 0 { try await Task.sleep(for: .milliseconds(2)) }
    await server.drain(deadline: .milliseconds(100))
    #expect(server.connectionCount == 0)
    #expect(await held.readAll() == "")
    await group.shutdown()
  }

  @Test func tellsThatAnAddressIsTaken() async throws {
    try await withServer { _, address in
      var configuration = HTTPServer.Configuration()
      configuration.port = address.port
      let second = HTTPServer(configuration: configuration, loops: [.shared], handler: EchoHandler())
      await #expect(throws: NetworkError(.addressInUse, "")) { _ = try await second.start() }
    }
  }

  /// Loops share a port by asking the kernel for it, which would let another server in as well.
  @Test func sharesAnAddressAmongItsOwnLoopsOnly() async throws {
    let group = EventLoopGroup(count: 2)
    for host in ["127.0.0.1", "::1"] {
      var configuration = HTTPServer.Configuration()
      configuration.host = host
      let first = HTTPServer(configuration: configuration, loops: group.loops, handler: EchoHandler())
      configuration.port = try await first.start().port
      let second = HTTPServer(configuration: configuration, loops: group.loops, handler: EchoHandler())
      await #expect(throws: NetworkError(.addressInUse, "")) { _ = try await second.start() }
      await first.drain(deadline: .zero)
      let third = HTTPServer(configuration: configuration, loops: group.loops, handler: EchoHandler())
      #expect(try await third.start().port == configuration.port)
      await third.drain(deadline: .zero)
    }
    await group.shutdown()
  }
}

final class Flag: Sendable {
  private let state = Mutex(false)
  func set() { state.withLock { $0 = true } }
  var isSet: Bool { state.withLock { $0 } }
}

/// Holds those who wait until it is opened.
actor Gate {
  private var waiters: [CheckedContinuation<Void, Never>] = []
  private var isOpen = false

  func wait() async {
    guard !isOpen else { return }
    await withCheckedContinuation { waiters.append($0) }
  }

  func untilSomebodyWaits() async {
    while waiters.isEmpty { try? await Task.sleep(for: .milliseconds(2)) }
  }

  func open() {
    isOpen = true
    for waiter in waiters { waiter.resume() }
    waiters = []
  }
}
