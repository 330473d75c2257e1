import BenchKit
import CryptoPrimitives
import E2ECrypto

/// What the measurements of the crypto core are made on: people, and groups of them.
enum Fixture {
  static let now = Timestamp(secondsSinceEpoch: 1_800_000_000)
  static let lifetime = Lifetime(
    notBefore: Timestamp(secondsSinceEpoch: now.secondsSinceEpoch - 3600),
    notAfter: Timestamp(secondsSinceEpoch: now.secondsSinceEpoch + 30 * 86_400))
  static let suite3 = CipherSuite(rawValue: 3)

  static let onOneCore = GroupPolicy()
  static let onTwoCores = {
    var policy = GroupPolicy()
    policy.maxThreads = 2
    return policy
  }()

  struct Broken: Error { var what: String }

  /// One who may be added to a group.
  struct Person: Sendable {
    let identity: ClientIdentity
    let bundle: KeyPackageBundle

    init(_ number: Int, _ suite: CipherSuite) throws {
      let scheme = try suite.algorithms().signature
      identity = ClientIdentity(
        credential: .basic(identity: Array("member \(number)".utf8)), signingKey: .generate(scheme))
      bundle = try KeyPackageBundle.generate(suite: suite, identity: identity, lifetime: lifetime)
    }

    var add: Proposal { .add(bundle.keyPackage) }

    func join(_ welcome: [UInt8], policy: GroupPolicy = onOneCore) throws -> Member {
      Member(
        identity, try Group.join(welcome: welcome, keyPackage: bundle, identity: identity, policy: policy).adopt())
    }
  }

  static func people(_ numbers: Range<Int>, _ suite: CipherSuite) throws -> [Person] {
    try numbers.map { try Person($0, suite) }
  }

  /// Somebody's place in a group. A class, because no array holds what cannot be copied.
  final class Member {
    let identity: ClientIdentity
    var group: Group

    init(_ identity: ClientIdentity, _ group: consuming Group) {
      self.identity = identity
      self.group = group
    }

    /// Commits and merges at once. Returns the commit and the welcome.
    func commit(_ proposals: [Proposal] = [], path: Bool) throws -> (message: [UInt8], welcome: [UInt8]) {
      var options = CommitOptions()
      options.forcesPath = path
      let pending = try group.commit(proposals, options: options, now: now)
      let made = (pending.message, pending.welcome ?? [])
      try group.merge(pending)
      return made
    }

    func follow(_ message: [UInt8]) throws {
      guard case .commit(let commit) = try group.receive(message) else { throw Broken(what: "not a commit") }
      try group.merge(commit)
    }
  }

  /// A group of one.
  static func creator(_ suite: CipherSuite, policy: GroupPolicy = onOneCore) throws -> Member {
    let identity = try Person(0, suite).identity
    return Member(
      identity,
      try Group.create(
        groupID: GroupID(Random.bytes(16)), suite: suite, identity: identity, lifetime: lifetime, policy: policy))
  }

  /// A group whose members were all added by one commit: no inner node has a key.
  struct Fresh {
    let creator: Member
    let people: [Person]
    let commit: [UInt8]
    let welcome: [UInt8]

    init(_ count: Int, _ suite: CipherSuite) throws { try self.init(Fixture.people(1..<count, suite), suite) }

    init(_ people: [Person], _ suite: CipherSuite, policy: GroupPolicy = onOneCore) throws {
      creator = try Fixture.creator(suite, policy: policy)
      self.people = people
      (commit, welcome) = try creator.commit(people.map(\.add), path: false)
    }

    func joinLast(policy: GroupPolicy = onOneCore) throws -> Member {
      guard let last = people.last else { throw Broken(what: "nobody was added") }
      return try last.join(welcome, policy: policy)
    }
  }

  /// A group in which every inner node with members on both sides has a key, and no member is unmerged anywhere.
  ///
  /// Really grown: each second member commits once, which gives all nodes above it a key, and adds the next two. In this
  /// order each commit seals to few, and only the committers need to have joined.
  struct Full {
    /// Leaf 0, whose path is the longest.
    let first: Member
    /// Leaf 1, which has the most to derive from a commit of leaf 0.
    let second: Member
    /// The last leaf, which shares nothing but the root with leaf 0.
    let last: Member

    init(_ count: Int, _ suite: CipherSuite) throws {
      guard count >= 4, count.isMultiple(of: 2) else {
        throw Broken(what: "a full tree needs an even number from 4 on")
      }
      first = try Fixture.creator(suite)
      let people = try Fixture.people(1..<count, suite)
      second = try people[0].join(try first.commit([people[0].add], path: true).welcome)
      var committer = first
      for number in stride(from: 2, to: count, by: 2) {
        let (left, right) = (people[number - 1], people[number])
        let (message, welcome) = try committer.commit([left.add, right.add], path: true)
        for member in [first, second] where member !== committer { try member.follow(message) }
        committer = try right.join(welcome)
      }
      last = committer
      let message = try last.commit(path: true).message
      for member in [first, second] { try member.follow(message) }
    }

    init(first: Member, second: Member, last: Member) {
      self.first = first
      self.second = second
      self.last = last
    }
  }

  /// Two people in a group of their own.
  struct Pair {
    let alice: Member
    let bob: Member

    init(_ suite: CipherSuite) throws {
      let fresh = try Fresh(2, suite)
      alice = fresh.creator
      bob = try fresh.joinLast()
    }

    /// Messages of alice, each of which bob can read once.
    func sealed(_ count: Int, _ content: [UInt8]) throws -> [[UInt8]] {
      try (0..<count).map { _ in try alice.group.protect(content) }
    }
  }
}
