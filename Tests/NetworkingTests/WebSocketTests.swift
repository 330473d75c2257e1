import Foundation
import Synchronization
import Testing

@testable import Networking

@Suite("WebSockets on real sockets")
struct WebSocketTests {
  @Test func echoesAndCloses() async throws {
    let log = SocketLog()
    try await withServer(handler: EchoHandler(socketEvents: log)) { _, address in
      let socket = try await WebSocketClient().connect(
        try WebURL("ws://\(address)/"), headers: ["Origin": "http://x"], subprotocol: "kin.v1")
      #expect(socket.connection.subprotocol == "kin.v1")
      var iterator = socket.makeAsyncIterator()
      for size in [0, 1, 125, 126, 127, 65535, 65536, 900_000] {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
        try await socket.send(binary: bytes)
        let answer = await iterator.next()
        #expect(answer == .binary(bytes), "\(size)")
      }
      socket.connection.execute { $0.send(text: "grüße") }
      #expect(await iterator.next() == .text("grüße"))
      socket.close(WebSocketCloseCode(4001), reason: "enough")
      #expect(await iterator.next() == nil)
      #expect(socket.closeCode == WebSocketCloseCode(4001))
      try await log.until { $0.closed == [WebSocketCloseCode(4001)] }
      await #expect(throws: NetworkError(.closed, "")) { try await socket.send(binary: [1]) }
    }
  }

  @Test func aThousandAtOnce() async throws {
    try await withServer(loops: 2) { server, address in
      let url = try WebURL("ws://\(address)/")
      let sockets = try await withThrowingTaskGroup(of: WebSocketStream.self) { group in
        var sockets: [WebSocketStream] = []
        for number in 0..<1000 {
          if number >= 100, let socket = try await group.next() { sockets.append(socket) }
          group.addTask { try await WebSocketClient().connect(url) }
        }
        for try await socket in group { sockets.append(socket) }
        return sockets
      }
      #expect(server.connectionCount == 1000)
      let right = Tally()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (number, socket) in sockets.enumerated() {
          group.addTask {
            var iterator = socket.makeAsyncIterator()
            for round in 0..<5 {
              let message = Array("\(number) in round \(round)".utf8)
              try await socket.send(binary: message)
              if await iterator.next() == .binary(message) { right.raise(by: 1) }
            }
            socket.close()
          }
        }
        try await group.waitForAll()
      }
      #expect(right.value == 5000)
    }
  }

  @Test func aSharedFrameReachesAll() async throws {
    let log = SocketLog()
    try await withServer(handler: EchoHandler(socketEvents: log)) { _, address in
      let url = try WebURL("ws://\(address)/")
      var sockets: [WebSocketStream] = []
      for _ in 0..<10 { sockets.append(try await WebSocketClient().connect(url)) }
      try await log.until { $0.connections.count == 10 }
      // One that is copied and one that is kept by reference.
      for size in [200, 5000, 100_000] {
        let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        let frame = SharedBytes.webSocketFrame(binary: payload)
        for connection in log.state.withLock({ $0.connections }) { connection.execute { $0.send(frame: frame) } }
        for socket in sockets {
          var iterator = socket.makeAsyncIterator()
          #expect(await iterator.next() == .binary(payload))
        }
      }
    }
  }

  @Test func aTurnsMessagesLeaveInOneWrite() async throws {
    let log = SocketLog()
    try await withServer(handler: EchoHandler(socketEvents: log)) { _, address in
      let socket = try await WebSocketClient().connect(try WebURL("ws://\(address)/silent"))
      try await log.until { $0.connections.count == 1 }
      let connection = try #require(log.state.withLock { $0.connections.first })
      let before: Int = try await connection.loop.perform { completion in
        let writes = connection.loop.statistics.writes
        for number in 0..<100 { connection.send(binary: [UInt8](repeating: UInt8(number), count: 200)) }
        completion(.success(writes))
      }
      var iterator = socket.makeAsyncIterator()
      var right = 0
      for number in 0..<100
      where await iterator.next() == .binary([UInt8](repeating: UInt8(number), count: 200)) { right += 1 }
      #expect(right == 100)
      let after: Int = try await connection.loop.perform { $0(.success(connection.loop.statistics.writes)) }
      #expect(after == before + 1)
      socket.close()
    }
  }

  /// Frames of others and its own, in every mixture of sizes: each in its place, and a turn's in one write or two.
  @Test(arguments: [false, true]) func sharedAndOwnFramesKeepTheirOrder(tls: Bool) async throws {
    let log = SocketLog()
    let files = try Certificates.shared.get()
    let context = try TLSServerContext(certificateFile: files.certificate("good"), keyFile: files.key("good"))
    var configuration = WebSocketClient.Configuration()
    if tls { configuration.tls = try TLSClientContext(trustedCertificates: files.authority) }
    let client = WebSocketClient(configuration: configuration)
    try await withServer(handler: EchoHandler(socketEvents: log), configure: { if tls { $0.tls = context } }) {
      _, address in
      let socket = try await client.connect(WebURL("\(tls ? "wss" : "ws")://localhost:\(address.port)/silent"))
      try await log.until { $0.connections.count == 1 }
      let connection = try #require(log.state.withLock { $0.connections.first })
      var iterator = socket.makeAsyncIterator()
      let sizes = [10, 300, 4095, 4096, 70_000]
      var kinds: [[(shared: Bool, size: Int)]] = [[]]
      for _ in 0..<3 {
        kinds = kinds.flatMap { before in
          [false, true].flatMap { shared in sizes.map { before + [(shared, $0)] } }
        }
      }
      // Every third of the thousand: all kinds stand in all places.
      for mixture in stride(from: 0, to: kinds.count, by: 3).map({ kinds[$0] }) {
        connection.execute { connection in
          for (place, kind) in mixture.enumerated() {
            let payload = [UInt8](repeating: UInt8(place), count: kind.size)
            if kind.shared {
              connection.send(frame: .webSocketFrame(binary: payload))
            } else {
              connection.send(binary: payload)
            }
          }
        }
        for (place, kind) in mixture.enumerated() {
          let expected = WebSocketStream.Message.binary([UInt8](repeating: UInt8(place), count: kind.size))
          try #require(await iterator.next() == expected, "\(mixture)")
        }
      }
      socket.close()
    }
  }

  @Test func whatIsGatheredIsOneTurn() async throws {
    let log = SocketLog()
    try await withServer(handler: EchoHandler(socketEvents: log)) { _, address in
      let socket = try await WebSocketClient().connect(try WebURL("ws://\(address)/silent"))
      try await log.until { $0.connections.count == 1 }
      let connection = try #require(log.state.withLock { $0.connections.first })
      let loop = connection.loop
      let before: Int = try await loop.perform { $0(.success(loop.statistics.writes)) }
      // Not a task of the loop: another thread hands work over, slowly.
      await Task.detached {
        loop.gather {
          for number in 0..<5 {
            connection.execute { $0.send(binary: [UInt8(number)]) }
            Thread.sleep(forTimeInterval: 0.01)
          }
        }
      }.value
      var iterator = socket.makeAsyncIterator()
      for number in 0..<5 { #expect(await iterator.next() == .binary([UInt8(number)])) }
      let after: Int = try await loop.perform { $0(.success(loop.statistics.writes)) }
      #expect(after == before + 1)
      socket.close()
    }
  }

  @Test func nothingIsLeftOfAClosedSocket() async throws {
    weak var stream: TCPConnection?
    weak var socket: WebSocketConnection?
    weak var loop: EventLoop?
    try await withServer(handler: EchoHandler()) { _, address in
      let client = try await WebSocketClient(loop: EventLoop()).connect(try WebURL("ws://\(address)/"))
      socket = client.connection
      stream = client.connection.stream
      loop = client.connection.loop
      client.close()
      var iterator = client.makeAsyncIterator()
      #expect(await iterator.next() == nil)
      await client.connection.loop.shutdown()
    }
    for _ in 0..<1000 where stream != nil || socket != nil || loop != nil {
      try await Task.sleep(for: .milliseconds(2))
    }
    #expect(stream == nil)
    #expect(socket == nil)
    #expect(loop == nil)
  }

  @Test func aSlowReaderIsBounded() async throws {
    let log = SocketLog()
    try await withServer(
      handler: EchoHandler(socketEvents: log),
      configure: {
        $0.webSocket.highWaterBytes = 100_000
        $0.webSocket.maxQueuedBytes = 300_000
      }
    ) { _, address in
      let socket = try RawSocket(address)
      socket.write(
        "GET /silent HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      let answer = await socket.read(until: "\r\n\r\n")
      #expect(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
      try await log.until { $0.connections.count == 1 }
      let connection = try #require(log.state.withLock { $0.connections.first })
      // Far more than the kernel's buffers take.
      let accepted = Tally()
      let worst = Tally()
      let frame = SharedBytes.webSocketFrame(binary: [UInt8](repeating: 1, count: 10_000))
      for _ in 0..<3000 {
        try await connection.loop.perform { completion in
          if connection.send(frame: frame) { accepted.raise(by: 1) }
          worst.raise(to: connection.queuedBytes)
          completion(.success(()))
        }
      }
      let count = accepted.value
      #expect(count < 3000)
      #expect(worst.value <= 300_000)
      #expect(log.state.withLock { $0.slow } == 1)
      // What was accepted arrives, all of it.
      var rest = count * frame.count
      while rest > 0 {
        let got = await socket.read(count: min(rest, 1 << 16)).count
        guard got > 0 else { break }
        rest -= got
      }
      #expect(rest == 0)
      try await log.until { $0.drained == 1 }
    }
  }

  @Test func aSlowSequenceSlowsTheServer() async throws {
    let log = SocketLog()
    try await withServer(handler: EchoHandler(socketEvents: log)) { _, address in
      let socket = try await WebSocketClient().connect(try WebURL("ws://\(address)/silent"))
      try await log.until { $0.connections.count == 1 }
      let connection = try #require(log.state.withLock { $0.connections.first })
      // 40 MB, in order, never more than what fits in flight.
      let sender = Task {
        var number = 0
        while number < 4000 {
          let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 10_000)
          let taken: Bool = try await connection.loop.perform { $0(.success(connection.send(binary: payload))) }
          if taken { number += 1 } else { try await Task.sleep(for: .milliseconds(1)) }
        }
      }
      try await log.until { $0.slow > 0 }
      var iterator = socket.makeAsyncIterator()
      var wrong = 0
      for number in 0..<4000 {
        if await iterator.next() != .binary([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 10_000)) {
          wrong += 1
        }
      }
      #expect(wrong == 0)
      try await sender.value
      socket.close()
    }
  }

  @Test func pingsTheSilentAndClosesTheDead() async throws {
    let log = SocketLog()
    try await withServer(
      handler: EchoHandler(socketEvents: log),
      configure: {
        $0.webSocket.pingInterval = .milliseconds(60)
        $0.webSocket.pongTimeout = .milliseconds(200)
      }
    ) { server, address in
      // Answers pings by itself, though nobody sends anything.
      let living = try await WebSocketClient().connect(try WebURL("ws://\(address)/"))
      let dead = try RawSocket(address)
      dead.write(
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      _ = await dead.read(until: "\r\n\r\n")
      try await log.until { $0.closed == [.abnormal] }
      #expect(living.closeCode == nil)
      #expect(server.connectionCount == 1)
      living.close()
    }
  }

  @Test func tellsWhyItWasRefused() async throws {
    try await withServer { _, address in
      do {
        _ = try await WebSocketClient().connect(try WebURL("ws://\(address)/refuse"))
        Issue.record("it was not refused")
      } catch {
        let error = try #require(error as? NetworkError)
        #expect(error.code == .upgradeRefused)
        #expect(error.status == 403)
        #expect(!error.isRetryable)
      }
      await #expect(throws: NetworkError(.protocolViolation, "")) {
        _ = try await WebSocketClient().connect(try WebURL("ws://\(address)/"), subprotocol: "unknown")
      }
    }
  }

  @Test(
    arguments: [
      ([0x82, 0x01, 0x00], 1002), ([0xc2, 0x80, 0, 0, 0, 0], 1002), ([0x83, 0x80, 0, 0, 0, 0], 1002),
      ([0x81, 0x81, 0, 0, 0, 0, 0xff], 1007), ([0x82, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 0], 1009),
      ([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], 1002), ([0x88, 0x82, 0, 0, 0, 0, 0x0f, 0xa1], 4001),
    ] as [([UInt8], UInt16)])
  func closesWithTheRightCode(frame: [UInt8], code: UInt16) async throws {
    try await withServer { _, address in
      let socket = try RawSocket(address)
      socket.write(
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      _ = await socket.read(until: "\r\n\r\n")
      socket.write(frame)
      #expect(await socket.read(count: 4) == [0x88, 0x02, UInt8(code >> 8), UInt8(code & 0xff)])
    }
  }

  @Test func aVanishedServerIsAbnormal() async throws {
    let log = SocketLog()
    try await withServer(handler: EchoHandler(socketEvents: log)) { _, address in
      let socket = try await WebSocketClient().connect(try WebURL("ws://\(address)/"))
      try await log.until { $0.connections.count == 1 }
      log.state.withLock { $0.connections.first }?.execute { $0.abort(.abnormal) }
      var iterator = socket.makeAsyncIterator()
      #expect(await iterator.next() == nil)
      #expect(socket.closeCode == .abnormal)
    }
  }

  @Test func aCancelledReaderLeaves() async throws {
    try await withServer { _, address in
      let socket = try await WebSocketClient().connect(try WebURL("ws://\(address)/silent"))
      let reader = Task {
        var iterator = socket.makeAsyncIterator()
        return await iterator.next()
      }
      try await Task.sleep(for: .milliseconds(20))
      reader.cancel()
      #expect(await reader.value == nil)
      #expect(socket.closeCode == nil)
      socket.close()
    }
  }
}
