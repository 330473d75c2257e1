import BenchKit
import CryptoPrimitives
import E2ECrypto

/// Each operation at growing numbers of members: where a step were quadratic, its time a member would grow with them.
///
/// A tree has at most 65,536 leaves here, and refuses more.
enum GrowthTable {
  static let sizes = [10, 100, 1_000, 10_000, 50_000]

  struct Row {
    var members: Int
    /// Nanoseconds of processor time.
    var times: [Double]
    var welcome = 0
    var commit = 0
    var state = 0
  }

  private static let operations = [
    "create", "join", "commit, fresh tree", "process it", "remove one", "save", "restore",
  ]

  static func print(_ sizes: [Int] = sizes) throws {
    let rows = try sizes.map(measure)
    Swift.print("Milliseconds, and microseconds a member; once each.\n")
    header(["members"] + operations)
    for row in rows {
      let cells = row.times.map { "\(fixed($0 / 1e6, 2)) (\(fixed($0 / 1000 / Double(row.members), 2)))" }
      BenchKit.row([comma(row.members)] + cells)
    }
    Swift.print("\nBytes, and bytes a member.\n")
    header("members", "Welcome with tree", "commit, fresh tree", "saved state")
    for row in rows {
      let cells = [row.welcome, row.commit, row.state].map { "\(comma($0)) (\($0 / row.members))" }
      BenchKit.row([comma(row.members)] + cells)
    }
  }

  private static func measure(_ count: Int) throws -> Row {
    let suite = Fixture.suite3
    var row = Row(members: count, times: [])
    func time(_ body: () throws -> Void) rethrows { row.times.append(try Processor.time(body)) }

    let people = try Fixture.people(1..<count, suite)
    let adds = people.map(\.add)
    let creator = try Fixture.creator(suite)
    var welcome: [UInt8] = []
    try time { welcome = try creator.commit(adds, path: false).welcome }
    var last: Fixture.Member?
    try time { last = try people[count - 2].join(welcome) }
    guard let member = last else { throw Fixture.Broken(what: "nobody joined") }
    var commit: [UInt8] = []
    try time { commit = try creator.commit(path: true).message }
    try time { try member.follow(commit) }
    row.welcome = welcome.count
    row.commit = commit.count
    try time { _ = try creator.commit([.remove(LeafIndex(1))], path: true) }
    var state: GroupState?
    time { state = member.group.encodeState() }
    guard let state else { throw Fixture.Broken(what: "no state") }
    row.state = state.epochPart.count + state.messagePart.count
    try time { _ = try Group(restoring: state, identity: member.identity) }
    return row
  }
}
