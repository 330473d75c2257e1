import Foundation
import Testing

@testable import Networking

/// An actor whose home is a loop.
private actor Resident {
  let loop: EventLoop
  var count = 0
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  init(loop: EventLoop) { self.loop = loop }

  func add() -> Bool {
    count += 1
    return loop.isCurrent
  }

  func add(to other: Resident) async -> Bool {
    let isThere = await other.add()
    return isThere && loop.isCurrent
  }
}

private struct WhereAmI: HTTPHandler {
  let loop: EventLoop
  fileprivate let resident: Resident

  func handle(_ request: HTTPRequest) async -> HTTPResponse {
    let before = loop.isCurrent
    let within = await resident.add()
    return HTTPResponse(status: before && within && loop.isCurrent ? 200 : 500)
  }
}

@Suite("The event loop")
struct EventLoopTests {
  @Test func runsActorsOnItsThread() async {
    let loop = EventLoop()
    let one = Resident(loop: loop)
    let two = Resident(loop: loop)
    var right = 0
    for _ in 0..<1000 where await one.add(to: two) { right += 1 }
    #expect(right == 1000)
    #expect(await two.count == 1000)
    #expect(!loop.isCurrent)
    // From a callback, without a task.
    let seen: Int = await withCheckedContinuation { continuation in
      loop.execute {
        two.assumeIsolated { $0.count += 1 }
        continuation.resume(returning: two.assumeIsolated { $0.count })
      }
    }
    #expect(seen == 1001)
    await loop.shutdown()
  }

  @Test func runsHandlersOnTheirLoop() async throws {
    let loop = EventLoop()
    let server = HTTPServer(
      configuration: .init(), loops: [loop], handler: WhereAmI(loop: loop, resident: Resident(loop: loop)))
    let address = try await server.start()
    let client = HTTPClient()
    for _ in 0..<5 {
      #expect(try await client.send(HTTPClientRequest(.get, WebURL("http://\(address)/"))).status == 200)
    }
    client.close()
    await server.drain(deadline: .seconds(5))
    await loop.shutdown()
  }

  @Test func keepsTheOrderOfEachSender() async {
    let loop = EventLoop()
    let seen = Shared<[Int: [Int]]>([:])
    await withTaskGroup { group in
      for sender in 0..<4 {
        group.addTask {
          for number in 0..<5000 {
            loop.execute { seen.withLock { $0[sender, default: []].append(number) } }
          }
        }
      }
    }
    await loop.shutdown()
    for sender in 0..<4 { #expect(seen.withLock { $0[sender] } == Array(0..<5000)) }
  }

  @Test func timersFireInOrderOnceUnlessCancelled() async {
    let loop = EventLoop()
    let seen = Shared<[Int]>([])
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      loop.schedule(after: .milliseconds(60)) { continuation.resume() }
      loop.schedule(after: .milliseconds(30)) { seen.withLock { $0.append(2) } }
      loop.schedule(after: .milliseconds(5)) { seen.withLock { $0.append(1) } }
      loop.schedule(after: .milliseconds(20)) { seen.withLock { $0.append(9) } }.cancel()
      loop.schedule(after: .seconds(1_000_000_000_000)) { seen.withLock { $0.append(8) } }
    }
    #expect(seen.withLock { $0 } == [1, 2])
    await loop.shutdown()
    #expect(seen.withLock { $0 } == [1, 2])
  }

  @Test func repeatsUntilCancelled() async {
    let loop = EventLoop()
    let count = Shared(0)
    let timer = Shared<EventLoop.Timer?>(nil)
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      loop.execute {
        let ticking = loop.schedule(every: .milliseconds(2)) {
          let now = count.withLock {
            $0 += 1
            return $0
          }
          guard now == 5 else { return }
          timer.withLock { $0?.cancel() }
          loop.schedule(after: .milliseconds(30)) { continuation.resume() }
        }
        timer.withLock { $0 = ticking }
      }
    }
    #expect(count.withLock { $0 } == 5)
    await loop.shutdown()
  }

  @Test func losesNoJobWhenItStops() async {
    for _ in 0..<20 {
      let loop = EventLoop()
      let resident = Resident(loop: loop)
      await withTaskGroup { group in
        for number in 0..<50 {
          group.addTask {
            if number == 25 { await loop.shutdown() }
            _ = await resident.add()
          }
        }
      }
      // After the end the actor still works, on the shared loop.
      #expect(await resident.count == 50)
      await loop.shutdown()
    }
  }

  @Test func hearsSignals() async throws {
    let loop = EventLoop()
    let stream = Signals.stream([.hangup], on: loop)
    try await Task.sleep(for: .milliseconds(50))
    kill(getpid(), SIGHUP)
    var iterator = stream.makeAsyncIterator()
    #expect(await iterator.next() == .hangup)
    await loop.shutdown()
  }
}
