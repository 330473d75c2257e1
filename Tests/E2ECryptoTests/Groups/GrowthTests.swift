import CryptoPrimitives
import E2ECrypto
import Testing

#if DEBUG
/// How the work of each operation grows with the group, in counts: no step may be quadratic, and in a full tree none but
/// creating, joining and saving may be linear.
///
/// The counts are the whole process's, so these tests and all others run one at a time (`./dev test`).
@Suite("Growth", .serialized)
struct GrowthTests {
  private static let sizes = [64, 128, 256, 512, 1_024]

  /// What was counted at each size.
  private typealias Curve = [(size: Int, work: [Work: Int])]

  @Test("creating, joining, saving, and commits on a fresh tree are at most linear")
  func linear() throws {
    var curves: [String: Curve] = [:]
    for size in Self.sizes {
      let invitees = try (1..<size).map { try Invitee("member \($0)") }
      func count(_ operation: String, _ body: () throws -> Void) throws {
        curves[operation, default: []].append((size, try Work.done(in: body)))
      }
      let creator = try Client.create("member 0")
      var welcome: [UInt8] = []
      try count("create") {
        let pending = try creator.commit(invitees.map { .add($0.keyPackage) })
        welcome = try pending.requireWelcome()
        try creator.group.merge(pending)
      }
      var joined: Client?
      try count("join") { joined = try invitees.last?.join(welcome) }
      let member = try #require(joined)
      var saved: GroupState?
      try count("save") { saved = member.group.encodeState() }
      let state = try #require(saved)
      try count("restore") { _ = try Group(restoring: state, identity: member.identity) }
      var commit: [UInt8] = []
      try count("commit") { commit = try creator.commitAndMerge() }
      try count("process") { try member.follow(commit) }
      try count("remove") { commit = try creator.commitAndMerge([.remove(LeafIndex(1))]) }
      try count("process a remove") { try member.follow(commit) }
    }
    for (operation, curve) in curves.sorted(by: { $0.key < $1.key }) {
      show(operation, curve)
      expectLinear(operation, curve)
    }
    for (size, work) in try #require(curves["create"]) {
      #expect(work[.verifications] == 2 * (size - 1), "two signatures in each key package")
      #expect(try #require(work[.agreements]) == size - 1)
      #expect(try #require(work[.baseMultiplications]) <= size + 2)
      #expect(try #require(work[.signatures]) <= 3)
    }
    for (size, work) in try #require(curves["join"]) {
      #expect(work[.verifications] == size + 1, "each leaf and the group info")
      #expect(try #require(work[.agreements]) == 1)
    }
    for operation in ["save", "restore"] {
      for (_, work) in try #require(curves[operation]) {
        #expect(work[.verifications] == 0 && work[.signatures] == 0 && work[.agreements] == 0)
      }
    }
    for (size, work) in try #require(curves["process"]) {
      #expect(keyOperations(work) <= 2 * levels(size) + 5, "processing depends on the path, not on the members")
    }
  }

  @Test("commits in a full tree, and messages, are at most logarithmic")
  func logarithmic() throws {
    for size in [32, 64, 128, 256] {
      let (first, second) = try fullTree(size)
      var commit: [UInt8] = []
      let committing = try Work.done { commit = try first.commitAndMerge() }
      let processing = try Work.done { try second.follow(commit) }
      let levels = levels(size)
      show("commit, full tree", [(size, committing)])
      show("process, full tree", [(size, processing)])
      // What `./dev bench mls` takes for the least that a commit must do.
      #expect(committing[.agreements] == levels, "one key to seal to on each level")
      #expect(try #require(committing[.baseMultiplications]) <= 2 * levels + 2)
      #expect(committing[.signatures] == 2, "the leaf and the message")
      #expect(processing[.agreements] == 1)
      #expect(try #require(processing[.baseMultiplications]) <= levels + 1)
      #expect(processing[.verifications] == 2, "the message and the leaf")
      #expect(try #require(committing[.hashes]) <= 60 * levels + 120)
      #expect(try #require(processing[.hashes]) <= 40 * levels + 120)

      // The first message of an epoch walks down the secret tree, the next ones do not.
      _ = try second.hear(try first.say("first"))
      var message: [UInt8] = []
      let protecting = try Work.done { message = try first.say("second") }
      let unprotecting = try Work.done { _ = try second.hear(message) }
      #expect(protecting[.signatures] == 1 && unprotecting[.verifications] == 1)
      #expect(keyOperations(protecting) == 1 && keyOperations(unprotecting) == 1)
      #expect(try #require(protecting[.sealings]) == 2 && unprotecting[.sealings] == 2)
      #expect(try #require(protecting[.hashes]) <= 40 && unprotecting[.hashes] ?? 0 <= 40)
    }
  }

  /// Leaves 0 and 1 of a tree in which every inner node has a key: each second member commits once and adds the next two.
  private func fullTree(_ size: Int) throws -> (Client, Client) {
    let first = try Client.create("member 0")
    let invitees = try (1..<size).map { try Invitee("member \($0)") }
    var (message, welcome) = try first.adding([invitees[0]])
    let second = try invitees[0].join(welcome)
    var committer = first
    for place in stride(from: 2, to: size, by: 2) {
      (message, welcome) = try committer.adding([invitees[place - 1], invitees[place]])
      for member in [first, second] where member !== committer { try member.follow(message) }
      committer = try invitees[place].join(welcome)
    }
    message = try committer.commitAndMerge()
    for member in [first, second] { try member.follow(message) }
    return (first, second)
  }

  private func levels(_ size: Int) -> Int { (size - 1).bitWidth - (size - 1).leadingZeroBitCount }

  private func keyOperations(_ work: [Work: Int]) -> Int {
    [Work.signatures, .verifications, .agreements, .baseMultiplications].reduce(0) { $0 + (work[$1] ?? 0) }
  }

  /// Work for each member may not grow: where a step is quadratic, it doubles with the size.
  private func expectLinear(_ operation: String, _ curve: Curve) {
    guard let smallest = curve.first else { return }
    for kind in Work.allCases {
      let start = Double(smallest.work[kind] ?? 0) / Double(smallest.size)
      for (size, work) in curve {
        let each = Double(work[kind] ?? 0) / Double(size)
        #expect(each <= 1.15 * start + 1.0 / 16, "\(operation): \(kind) a member at \(size)")
      }
    }
  }

  private func show(_ operation: String, _ curve: Curve) {
    for (size, work) in curve {
      let counts = Work.allCases.map { "\($0) \(work[$0] ?? 0)" }.joined(separator: ", ")
      print("COUNTS \(operation) at \(size): \(counts)")
    }
  }
}

extension Client {
  fileprivate func commitAndMerge(_ proposals: [Proposal] = []) throws -> [UInt8] {
    var options = CommitOptions()
    options.forcesPath = true
    let pending = try commit(proposals, options: options)
    let message = pending.message
    try group.merge(pending)
    return message
  }

  fileprivate func adding(_ invitees: [Invitee]) throws -> (message: [UInt8], welcome: [UInt8]) {
    var options = CommitOptions()
    options.forcesPath = true
    let pending = try commit(invitees.map { .add($0.keyPackage) }, options: options)
    let made = (pending.message, try pending.requireWelcome())
    try group.merge(pending)
    return made
  }
}
#endif
