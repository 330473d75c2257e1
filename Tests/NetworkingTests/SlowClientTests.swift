import Glibc
import Synchronization
import Testing

@testable import Networking

/// Clients that take their time, and too many of them: attack 52's slowloris in every phase.
@Suite("Limits of a server")
struct SlowClientTests {
  private func until(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<2000 {
      if condition() { return true }
      try await Task.sleep(for: .milliseconds(5))
    }
    return false
  }

  /// Writes a byte now and then until the server has had enough; the result is its answer.
  private func dribble(_ socket: RawSocket, every pause: Duration) async throws -> String {
    let answer = Task { await socket.readAll() }
    let dribbling = Task {
      while !Task.isCancelled {
        socket.write("a")
        try await Task.sleep(for: pause)
      }
    }
    defer { dribbling.cancel() }
    return await answer.value
  }

  @Test func endsAHeadThatDribbles() async throws {
    try await withServer(configure: { $0.headTimeout = .milliseconds(300) }) { _, address in
      let socket = try RawSocket(address)
      socket.write("GET / HTTP/1.1\r\nHost: x\r\nX: ")
      #expect(try await dribble(socket, every: .milliseconds(20)).hasPrefix("HTTP/1.1 408 "))
      // The second head on a connection has no more time than the first.
      let second = try RawSocket(address)
      second.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(await second.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
      second.write("GET / HTTP/1.1\r\nX: ")
      #expect(try await dribble(second, every: .milliseconds(20)).hasPrefix("HTTP/1.1 408 "))
    }
  }

  @Test func endsABodyThatDribblesAndWaitsForOneThatIsMerelyLong() async throws {
    try await withServer(configure: {
      $0.bodyTimeout = .milliseconds(300)
      $0.minimumRate = 100_000
    }) { _, address in
      for framing in ["Content-Length: 500000", "Transfer-Encoding: chunked"] {
        let slow = try RawSocket(address)
        slow.write("POST / HTTP/1.1\r\nHost: x\r\n\(framing)\r\n\r\n")
        if framing.hasPrefix("T") { slow.write("1000\r\n") }
        #expect(try await dribble(slow, every: .milliseconds(20)).hasPrefix("HTTP/1.1 408 "))
      }
      // Four times the timeout, at more than the rate.
      let steady = try RawSocket(address)
      steady.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n")
      for _ in 0..<50 {
        steady.write([UInt8](repeating: 0x61, count: 10_000))
        try await Task.sleep(for: .milliseconds(24))
      }
      #expect(await steady.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    }
  }

  /// Reading a little now and then is not reading; reading steadily is, however long it takes.
  @Test func cutsAReaderThatSips() async throws {
    try await withServer(configure: {
      $0.writeTimeout = .milliseconds(300)
      $0.minimumRate = 2_000_000
    }) { server, address in
      let slow = try RawSocket(address)
      slow.write("GET /big?n=50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(try await until { server.connectionCount == 1 })
      let sipping = Task {
        while !Task.isCancelled {
          _ = await slow.read(count: 1000)
          try await Task.sleep(for: .milliseconds(20))
        }
      }
      #expect(try await until { server.connectionCount == 0 })
      sipping.cancel()

      let steady = try RawSocket(address)
      steady.write("GET /big?n=12000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      var total = 0
      while true {
        let count = await steady.read(count: 120_000).count
        total += count
        if count < 120_000 { break }
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(total > 12_000_000)
    }
  }

  /// Whoever asks again and again and reads nothing gets the first answers into the kernel's buffers, and no more are made.
  @Test func makesNoAnswersThatNobodyReads() async throws {
    let asked = Tally()
    try await withServer(handler: EchoHandler(hold: { asked.raise(by: 1) })) { server, address in
      let socket = try RawSocket(address)
      let request = "GET /hold?n=1 HTTP/1.1\r\nHost: x\r\n\r\nGET /big?n=4000000 HTTP/1.1\r\nHost: x\r\n\r\n"
      socket.write(String(repeating: request, count: 200))
      try await Task.sleep(for: .milliseconds(500))
      #expect((1..<20).contains(asked.value), "\(asked.value)")
      // Once it reads, it gets them all.
      var total = 0
      while total < 200 * 4_000_000 {
        let count = await socket.read(count: 8_000_000).count
        if count == 0 { break }
        total += count
      }
      #expect(total >= 200 * 4_000_000 && asked.value == 200)
    }
  }

  @Test func takesOnlySmallBodiesWhenMemoryIsShort() async throws {
    try await withServer(configure: {
      $0.maxBodyMemory = 300_000
      $0.maxBodyBytes = 1_000_000
    }) { server, address in
      func begin(_ sent: Int, of total: Int) async throws -> RawSocket {
        let socket = try RawSocket(address)
        socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \(total)\r\n\r\n")
        socket.write([UInt8](repeating: 0x61, count: sent))
        return socket
      }
      let first = try await begin(250_000, of: 260_000)
      #expect(try await until { server.bodyMemory.load(ordering: .relaxed) == 250_000 })
      let refused = try await begin(100_000, of: 100_000)
      let answer = await refused.readAll()
      #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "))
      #expect(try await until { server.bodyMemory.load(ordering: .relaxed) == 250_000 })
      // Others' small requests go on, and the long one as well.
      let small = try await begin(4000, of: 4000)
      #expect(await small.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
      first.write([UInt8](repeating: 0x61, count: 10_000))
      #expect(await first.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
      #expect(try await until { server.bodyMemory.load(ordering: .relaxed) == 0 })
      // Whoever goes gives back what it held.
      do { _ = try await begin(200_000, of: 900_000) }
      #expect(try await until { server.connectionCount == 2 && server.bodyMemory.load(ordering: .relaxed) == 0 })
    }
  }

  @Test func saysThatThereIsNoRoom() async throws {
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    for (status, configure): (Int, (inout HTTPServer.Configuration) -> Void) in [
      (429, { $0.maxConnectionsPerAddress = 2 }), (503, { $0.maxConnections = 2 }),
    ] {
      try await withServer(configure: configure) { server, address in
        let inside = try (0..<2).map { _ in try RawSocket(address) }
        for socket in inside {
          socket.write(request)
          #expect(await socket.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
        }
        for _ in 0..<3 {
          let outside = try RawSocket(address)
          outside.write(request)
          let answer = await outside.readAll()
          #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
          #expect(answer.contains("\r\nRetry-After: 5\r\n") && answer.contains("\r\nConnection: close\r\n"))
        }
        // A crowd costs nothing but its sockets: beyond some it is not answered at all.
        let crowd = try (0..<200).map { _ in try RawSocket(address) }
        #expect(server.connectionCount == 2)
        let last = try RawSocket(address)
        last.write(request)
        #expect(await last.readAll() == "")
        inside[0].closeOutput()
        #expect(await inside[0].readAll() == "")
        _ = crowd.count
        #expect(
          try await until {
            guard let socket = try? RawSocket(address) else { return false }
            socket.write(request)
            return recvAll(socket).hasPrefix("HTTP/1.1 200 ")
          })
      }
    }
  }

  private func recvAll(_ socket: RawSocket) -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = recv(socket.descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
  }

  /// Behind a proxy each client has its own share, whatever it writes into the header itself: attack 49.
  @Test func countsAProxysClientsOneByOne() async throws {
    let gate = Gate()
    try await withServer(
      handler: EchoHandler(hold: { await gate.wait() }),
      configure: {
        $0.maxConnectionsPerAddress = 2
        $0.trustedProxies = [AddressRange("127.0.0.0/8")!]
      }
    ) { server, address in
      func ask(_ path: String, _ forwarded: String) throws -> RawSocket {
        let socket = try RawSocket(address)
        socket.write("GET \(path) HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \(forwarded)\r\n\r\n")
        return socket
      }
      func upgrade(_ forwarded: String) async throws -> (RawSocket, String) {
        let socket = try RawSocket(address)
        socket.write(
          "GET /echo HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \(forwarded)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        return (socket, await socket.read(until: "\r\n\r\n"))
      }
      // One request under way and one socket: that is all for 192.0.2.1.
      let held = try ask("/hold", "192.0.2.1")
      await gate.untilSomebodyWaits()
      let (socket, first) = try await upgrade("192.0.2.1")
      #expect(first.hasPrefix("HTTP/1.1 101 "))
      for forwarded in ["192.0.2.1", "10.9.8.7, 192.0.2.1", "192.0.2.1, 127.0.0.9"] {
        let answer = await (try ask("/", forwarded)).read(until: "\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 429 ") && answer.contains("Retry-After"), "\(answer)")
        #expect(try await upgrade(forwarded).1.hasPrefix("HTTP/1.1 429 "))
      }
      // Others are not touched by it, and many connections of the proxy itself are none of anybody's.
      let others = try (0..<20).map { try ask("/", "192.0.2.\(100 + $0)") }
      for other in others { #expect(await other.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 ")) }
      // What has ended is not counted any more.
      await gate.open()
      #expect(await held.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
      #expect(await (try ask("/", "192.0.2.1")).read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
      let (second, answer) = try await upgrade("192.0.2.1")
      #expect(answer.hasPrefix("HTTP/1.1 101 "))
      #expect(try await upgrade("192.0.2.1").1.hasPrefix("HTTP/1.1 429 "))
      second.closeOutput()
      var isFree = false
      for _ in 0..<500 where !isFree {
        isFree = try await upgrade("192.0.2.1").1.hasPrefix("HTTP/1.1 101 ")
        if !isFree { try await Task.sleep(for: .milliseconds(10)) }
      }
      #expect(isFree)
      _ = socket.descriptor
    }
  }
}
