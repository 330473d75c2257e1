import BenchKit
import CryptoPrimitives
import E2ECrypto
import FoundationEssentials
import Glibc

/// Other implementations beside ours, measured in the same minutes on the same machine, in the suite that they have: 1.
enum PeerTable {
  private static let suite = CipherSuite(rawValue: 1)
  private static let sizes = [100, 1_000]

  /// A line of `Benchmarks/peers/mls_peers.py`.
  private struct Line: Decodable {
    var peer: String
    var operation: String?
    var microseconds: Double?
    var version: String?
    var missing: String?
  }

  static func print() throws {
    guard let python = getenv("KIN_BENCH_PYTHON"), let script = getenv("KIN_BENCH_PEERS") else {
      Swift.print("Left out: `./dev bench mls` installs the peers and runs this beside them.")
      return
    }
    // Ours before and after theirs: the rows that a second thread does not touch show whether the machine kept its pace.
    let before = try ours(Fixture.onOneCore)
    let lines = try theirs(String(cString: python), String(cString: script))
    let after = try ours(Fixture.onTwoCores)

    var peers: [String] = []
    var figures: [String: [String: Double]] = [:]
    for line in lines {
      if !peers.contains(line.peer) { peers.append(line.peer) }
      if let operation = line.operation, let time = line.microseconds {
        figures[operation, default: [:]][line.peer] = time
      }
    }
    Swift.print(
      "Microseconds of the clock, suite 1, one core but where a peer takes more; Megolm is no MLS and has no suites.\n")
    header(["operation", "Kin", "Kin, two threads"] + peers)
    for ((operation, first), (_, second)) in zip(before, after) {
      let cells = peers.map { figures[operation]?[$0].map(show) ?? "" }
      row([operation, show(first), show(second)] + cells)
    }
    for line in lines {
      if let version = line.version { Swift.print("\n\(line.peer): \(version).", terminator: "") }
      if let missing = line.missing { Swift.print("\n\(line.peer) could not be measured: \(missing)", terminator: "") }
    }
    Swift.print("")
  }

  private static func show(_ microseconds: Double) -> String {
    microseconds < 1_000 ? fixed(microseconds) : comma(Int(microseconds))
  }

  private static func theirs(_ python: String, _ script: String) throws -> [Line] {
    let folder = try Parts.temporaryFolder()
    defer { Parts.remove(folder) }
    let output = folder + "/peers"
    try Child(python, [script] + sizes.map(String.init), output: output).succeed()
    return try Machine.lines(of: output).filter { $0.hasPrefix("{") }.map {
      try JSONDecoder().decode(Line.self, from: Data($0.utf8))
    }
  }

  // MARK: Ours

  private static func ours(_ policy: GroupPolicy) throws -> [(operation: String, microseconds: Double)] {
    var figures: [(String, Double)] = []
    func add(_ operation: String, _ samples: [Double]) { figures.append((operation, samples.median / 1_000)) }

    let pair = try Fixture.Pair(suite)
    let content = Random.bytes(100)
    var sealed: [[UInt8]] = []
    add(
      "protect 100 B",
      try (0..<400).map { _ in try Timing.elapsed { sealed.append(try pair.alice.group.protect(content)) } })
    add("unprotect 100 B", try sealed.map { message in try Timing.elapsed { _ = try pair.bob.group.receive(message) } })
    add(
      "key package", try (1..<100).map { number in try Timing.elapsed { _ = try Fixture.Person(number, suite).bundle } }
    )
    for size in sizes {
      let people = try Fixture.people(1..<size, suite)
      let adds = people.map(\.add)
      func repeated(_ body: () throws -> Void) throws -> [Double] { try (0..<3).map { _ in try Timing.elapsed(body) } }
      add("create \(size)", try repeated { _ = try Fixture.creator(suite, policy: policy).commit(adds, path: false) })
      let fresh = try Fixture.Fresh(people, suite, policy: policy)
      add("join \(size)", try repeated { _ = try fresh.joinLast(policy: policy) })
      let member = try fresh.joinLast(policy: policy)
      add("commit \(size)", try repeated(Operation.committing(fresh.creator)))
      let empty = try fresh.creator.commit(path: true).message
      add("process \(size)", try repeated(try Operation.processing(empty, by: member)))
      try member.follow(empty)
      let newcomer = try Fixture.Person(size, suite)
      var options = CommitOptions()
      options.forcesPath = true
      add(
        "add one \(size)",
        try repeated { _ = try fresh.creator.group.commit([newcomer.add], options: options, now: Fixture.now) })
      let addition = try fresh.creator.commit([newcomer.add], path: true).message
      add("process add \(size)", try repeated(try Operation.processing(addition, by: member)))
    }
    return figures
  }
}
