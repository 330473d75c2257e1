import BenchKit
import Glibc

/// Deliveries per CPU-second of a server, in turns with its peers': while one is measured the others are stopped.
enum FanOutBench {
  struct Load: Sendable {
    let receivers: Int
    let window: Int
    let total: Int

    var name: String { "room of \(receivers), \(window == 1 ? "one message at a time" : "\(window) under way")" }
  }

  /// Not so long that the machine changes its pace within a turn.
  static let loads = [
    Load(receivers: 100, window: 1, total: 1200), Load(receivers: 100, window: 32, total: 10_000),
    Load(receivers: 1000, window: 1, total: 150), Load(receivers: 1000, window: 32, total: 1500),
  ]
  static let turns = 3

  /// One server with its room full of receivers.
  struct Lane {
    let server: any BenchServer
    let fanOut: FanOut
    var rates: [Double] = []
    /// Processor time a delivery, in seconds.
    var cost: Double { 1 / Scoreboard.median(rates) }

    init(_ server: any BenchServer, receivers: Int) async throws {
      self.server = server
      fanOut = FanOut(server.dialect)
      try await fanOut.connect(receivers) { try await server.connect($0) }
    }

    mutating func turn(_ load: Load) async {
      let before = Machine.processorSeconds(of: server.pid)
      _ = await fanOut.run(total: load.total, window: load.window)
      let used = Machine.processorSeconds(of: server.pid) - before
      rates.append(Double(load.receivers * load.total) / used)
    }

    /// Not before its peers have run too.
    func pause() { kill(server.pid, SIGSTOP) }
    func resume() { kill(server.pid, SIGCONT) }
  }

  /// Measures servers in turns, the first of which is ours. Returns the medians of deliveries per CPU-second.
  static func compare(_ servers: [any BenchServer], _ load: Load, turns: Int = turns) async throws -> [Double] {
    var lanes: [Lane] = []
    for server in servers {
      lanes.append(try await Lane(server, receivers: load.receivers))
      lanes[lanes.count - 1].pause()
    }
    for turn in 0..<(turns + 1) {
      for index in lanes.indices {
        lanes[index].resume()
        await lanes[index].turn(load)
        lanes[index].pause()
      }
      // The first turn finds cold caches and small windows.
      if turn == 0 { for index in lanes.indices { lanes[index].rates = [] } }
    }
    for lane in lanes {
      lane.resume()
      await lane.fanOut.close()
    }
    return lanes.map { Scoreboard.median($0.rates) }
  }

  static func run(_ store: StoreKind) async throws {
    for load in loads { try await beside(load, store, tls: nil) }
    let certificate = try Certificate()
    for load in loads.prefix(2) { try await beside(load, store, tls: certificate) }
    for load in loads.prefix(2) { try await brokers(load, store) }
  }

  private static func beside(_ load: Load, _ store: StoreKind, tls certificate: Certificate?) async throws {
    let relay = try await BenchRelay(store: store, tls: certificate)
    defer { relay.stop() }
    let peer = try PeerServer.uWebSockets(certificate)
    defer { peer?.stop() }
    let rates = try await compare([relay] + (peer.map { [$0] } ?? []), load)
    let what = "deliveries per CPU-second, \(load.name)\(certificate == nil ? "" : ", TLS")"
    guard rates.count == 2 else { return Scoreboard.show(what, Scoreboard.short(rates[0])) }
    Scoreboard.atLeast(
      load.window == 1 || certificate != nil ? 0.9 : 0.8, what, Scoreboard.short(rates[0]),
      "uWebSockets, bare: \(Scoreboard.short(rates[1]))", ratio: rates[0] / rates[1])
  }

  /// Those that Debian has; there is no target, for they are no match.
  private static func brokers(_ load: Load, _ store: StoreKind) async throws {
    for make in [PeerServer.nats, PeerServer.mosquitto] {
      guard let peer = try make() else { continue }
      let small = Load(receivers: load.receivers, window: load.window, total: load.total / 4)
      let rates = try await compare([peer], small, turns: 1)
      peer.stop()
      Scoreboard.show(
        "the same of \(peer.name), which stores nothing: \(load.name)", "",
        "\(peer.name): \(Scoreboard.short(rates[0]))")
    }
  }

  // MARK: Loops, idle connections and counts

  /// What a second loop costs: nothing is shared on the way of a delivery.
  static func loops(_ store: StoreKind) async throws {
    for load in [loads[1], loads[3]] {
      let (one, two) = (try await BenchRelay(loops: 1, store: store), try await BenchRelay(loops: 2, store: store))
      let rates = try await compare([two, one], load)
      one.stop()
      two.stop()
      Scoreboard.atLeast(
        0.85, "two loops: deliveries per CPU-second, \(load.name)", Scoreboard.short(rates[0]),
        "one loop: \(Scoreboard.short(rates[1]))", ratio: rates[0] / rates[1])
    }
  }

  /// What idle connections cost an active room.
  static func beside(idle count: Int, _ store: StoreKind) async throws {
    let (alone, crowded) = (try await BenchRelay(store: store), try await BenchRelay(store: store))
    defer { alone.stop() }
    defer { crowded.stop() }
    let clients = try Holders(of: count, at: crowded, processes: 2)
    defer { clients.end() }
    for load in loads.prefix(2) {
      let rates = try await compare([crowded, alone], load)
      let ratio = rates[1] / rates[0]
      Scoreboard.atMost(
        "1.10", "processor time a delivery beside \(count) idle WebSockets, \(load.name)",
        "\(fixed(1e6 / rates[0], 2)) µs", "none idle: \(fixed(1e6 / rates[1], 2)) µs", ratio: fixed(ratio, 2),
        isWithin: ratio <= 1.1)
    }
  }

  /// Allocations and system calls, which do not wobble.
  static func counts(_ store: StoreKind) async throws {
    for load in loads.prefix(2) {
      guard let calls = try CallCounts() else { return }
      let relay = try await BenchRelay(store: store, counting: calls)
      let lane = try await Lane(relay, receivers: load.receivers)
      _ = await lane.fanOut.run(total: load.window * 10, window: load.window)
      let before = calls.read()
      _ = await lane.fanOut.run(total: load.total, window: load.window)
      let after = calls.read()
      relay.stop()
      func each(_ kinds: CallCounts.Kind..., of count: Int) -> Double {
        kinds.reduce(0) { $0 + (after[$1] ?? .nan) - (before[$1] ?? .nan) } / Double(count)
      }
      let messages = load.total
      let deliveries = load.total * load.receivers
      Scoreboard.show(
        "counted, \(load.name)",
        "\(fixed(each(.allocations, of: messages), 1)) allocations and "
          + "\(fixed(each(.sends, .receives, .polls, .wakes, .fileWrites, .syncs, of: messages), 1)) system calls a message",
        "\(fixed(each(.sends, of: deliveries), 3)) sends and \(fixed(each(.allocations, of: deliveries), 3)) allocations a delivery; "
          + "\(fixed(each(.fileWrites, of: messages), 1)) file writes, \(fixed(each(.syncs, of: messages), 2)) syncs, "
          + "\(fixed(each(.wakes, of: messages), 2)) wakes a message")
    }
  }

  // MARK: Latency

  /// Below saturation: 20,000 deliveries a second, in turns, of whose percentiles the medians are shown: one stall of the machine
  /// in a turn is no server's.
  static func latency(_ store: StoreKind) async throws {
    let relay = try await BenchRelay(store: store)
    defer { relay.stop() }
    let peer = try PeerServer.uWebSockets()
    defer { peer?.stop() }
    var servers: [any BenchServer] = [relay]
    if let peer { servers.append(peer) }
    var lanes: [Lane] = []
    for server in servers {
      lanes.append(try await Lane(server, receivers: 100))
      lanes[lanes.count - 1].pause()
    }
    var times = [[Percentiles]](repeating: [], count: lanes.count)
    var syncs: [Percentiles] = []
    for turn in 0...latencyTurns {
      for index in lanes.indices {
        lanes[index].resume()
        _ = await lanes[index].fanOut.run(total: 600, rate: 200)
        lanes[index].pause()
        // The first turn finds cold caches.
        if turn > 0 { times[index].append(Percentiles(await lanes[index].fanOut.sortedLatencies().map { Double($0) })) }
      }
      syncs.append(Percentiles(try Self.syncs(in: relay.folder)))
    }
    for lane in lanes {
      lane.resume()
      await lane.fanOut.close()
    }
    let ours = Percentiles(medianOf: times[0])
    let what = "send to delivery, 20,000 deliveries a second"
    guard times.count > 1 else { return Scoreboard.show(what, ours.text) }
    let (theirs, sync) = (Percentiles(medianOf: times[1]), Percentiles(medianOf: syncs))
    let limit = 2 * theirs.p99 + sync.p99
    Scoreboard.atMost(
      "\(fixed(limit, 2)) ms: twice its p99 and a sync's", what, ours.text,
      "uWebSockets: \(theirs.text); fdatasync: \(sync.text)", ratio: fixed(ours.p99 / limit, 2),
      isWithin: ours.p99 <= limit)
  }

  private static let latencyTurns = 7

  /// In milliseconds.
  private struct Percentiles {
    let p50: Double
    let p99: Double

    /// Of sorted nanoseconds.
    init(_ sorted: [Double]) {
      (p50, p99) = (sorted[sorted.count / 2] / 1e6, sorted[sorted.count * 99 / 100] / 1e6)
    }

    init(medianOf turns: [Percentiles]) {
      (p50, p99) = (Scoreboard.median(turns.map(\.p50)), Scoreboard.median(turns.map(\.p99)))
    }

    var text: String { "p50 \(fixed(p50, 2)), p99 \(fixed(p99, 2)) ms" }
  }

  /// A page appended to a file and synced, at the pace of the messages.
  private static func syncs(in folder: Folder) throws -> [Double] {
    let file = open(folder.path + "/sync", O_WRONLY | O_CREAT, 0o600)
    guard file >= 0 else { throw Child.Failed(what: "cannot write beside the relay") }
    defer { close(file) }
    let page = [UInt8](repeating: 1, count: 4096)
    var times: [Double] = []
    for place in 0..<250 {
      usleep(2000)
      times.append(
        Timing.elapsed {
          _ = page.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, off_t(place % 100 * 4096)) }
          fdatasync(file)
        })
    }
    return times.sorted()
  }
}
