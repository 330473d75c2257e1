import BenchKit
import Glibc
import Networking
import Synchronization

/// The relay's memory for sockets on which nothing happens.
enum MemoryBench {
  static func run(_ store: StoreKind) async throws {
    let certificate = try Certificate()
    for (tls, target) in [(false, 2.0), (true, 15.0)] {
      // All come from one address: Linux has 28,232 ports for it.
      let relay = try await BenchRelay(store: store, tls: tls ? certificate : nil)
      defer { relay.stop() }
      // What the process needs to serve anybody at all is no connection's.
      try Holders(of: 1, at: relay, processes: 1, trusting: tls ? certificate : nil, from: 100).end()
      sleep(1)
      let base = Machine.residentBytes(of: relay.pid)
      var holders: [Holders] = []
      defer { for holder in holders { holder.end() } }
      var held = 0
      for wanted in [5_000, 20_000] {
        // What a process may open bounds what the relay can hold.
        let count = min(wanted, Self.descriptors - 200)
        holders.append(
          try Holders(
            of: count - held, at: relay, processes: 2, trusting: tls ? certificate : nil, from: holders.count * 2))
        held = count
        let used = Double(Machine.residentBytes(of: relay.pid) - base) / Double(held) / 1024
        Scoreboard.atMost(
          "\(fixed(target, 0)) KB", "memory of an idle WebSocket\(tls ? ", TLS" : ""), \(count) open",
          "\(fixed(used, 2)) KB",
          "base: \(fixed(Double(base) / 1e6, 0)) MB" + (count < wanted ? "; no more files may be open here" : ""),
          isWithin: used <= target)
      }
    }
  }

  private static var descriptors: Int {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return Int(clamping: limit.rlim_cur)
  }
}

/// Client processes that hold idle sockets.
final class Holders: Sendable {
  private let children: Mutex<[pid_t]>
  private let folder: Folder

  /// Returns when all sockets are open.
  ///
  /// - Parameter first: the number of the first process, from which its account has its name.
  init(
    of count: Int, at relay: BenchRelay, processes: Int, trusting certificate: Certificate? = nil, from first: Int = 0
  )
    throws
  {
    folder = try Folder()
    var pids: [pid_t] = []
    for number in 0..<processes {
      let share = count / processes + (number < count % processes ? 1 : 0)
      let words = ["hold", relay.url, "holder\(first + number)", "\(share)"] + (certificate.map { [$0.file] } ?? [])
      let child = try Child("kin-bench", words, output: folder.path + "/out\(number)")
      pids.append(child.pid)
    }
    children = Mutex(pids)
    for number in pids.indices {
      var isOpen = false
      for _ in 0..<2400 where !isOpen {
        isOpen = Machine.lines(of: folder.path + "/out\(number)").contains("open")
        if !isOpen { usleep(50_000) }
      }
      guard isOpen else {
        end()
        throw Child.Failed(what: "the clients did not all connect")
      }
    }
  }

  func end() {
    for pid in children.withLock({ pids in
      defer { pids = [] }; return pids
    }) {
      kill(pid, SIGKILL)
      var status: Int32 = 0
      waitpid(pid, &status, 0)
    }
  }

  /// What a child does: opens that many sockets as an account of its own, says so, and waits for its end.
  static func hold(_ words: [String]) async throws {
    let count = Int(words[2]) ?? 0
    let account = try await BenchAccount(words[1], at: words[0], trusting: words.count > 3 ? words[3] : nil)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<count {
        // A few at a time: what the relay's memory has to have room for while it shakes many hands is no idle connection's.
        if number >= 8 { try await group.next() }
        group.addTask { _ = try await account.socket(on: .shared) { Idle(connection: $0) } }
      }
      try await group.waitForAll()
    }
    print("open")
    fflush(nil)
    while getppid() != 1 { try await Task.sleep(for: .seconds(1)) }
  }
}

final class Idle: WebSocketHandler {
  let connection: WebSocketConnection

  init(connection: WebSocketConnection) { self.connection = connection }

  func received(binary bytes: RawSpan) {}
  func closed(_ code: WebSocketCloseCode, reason: String) {}
}
