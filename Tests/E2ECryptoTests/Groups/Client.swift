import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

let someday = Timestamp(secondsSinceEpoch: 1_800_000_000)
let someYear = Lifetime(
  notBefore: Timestamp(secondsSinceEpoch: 1_790_000_000), notAfter: Timestamp(secondsSinceEpoch: 1_820_000_000))

/// One device in the tests.
final class Client {
  let name: String
  let suite: CipherSuite
  let identity: ClientIdentity
  var group: Group

  init(_ name: String, suite: CipherSuite, identity: ClientIdentity, group: consuming Group) {
    self.name = name
    self.suite = suite
    self.identity = identity
    self.group = group
  }

  static func identity(_ name: String) -> ClientIdentity {
    ClientIdentity(credential: .basic(identity: Array(name.utf8)), signingKey: .generate())
  }

  static func create(
    _ name: String, suite: CipherSuite = .x25519ChaCha20Poly1305, identity: ClientIdentity? = nil,
    capabilities: Capabilities = Capabilities(extensions: [0xff01]), leafExtensions: [Extension] = [],
    extensions: [Extension] = [], policy: GroupPolicy = GroupPolicy()
  ) throws -> Client {
    let identity = identity ?? self.identity(name)
    let group = try Group.create(
      groupID: GroupID(Random.bytes(16)), suite: suite, identity: identity,
      capabilities: capabilities, leafExtensions: leafExtensions, extensions: extensions, lifetime: someYear,
      policy: policy)
    return Client(name, suite: suite, identity: identity, group: group)
  }

  /// A second life of the same device from its saved state: what a copied disk or a restart gives.
  func restored() throws -> Client {
    let group = try Group(restoring: self.group.encodeState(), identity: identity, policy: self.group.policy)
    return Client(name, suite: suite, identity: identity, group: group)
  }

  func commit(
    _ proposals: [Proposal] = [], options: CommitOptions = CommitOptions()
  ) throws -> PendingCommit {
    try group.commit(proposals, options: options, now: someday)
  }

  /// Makes a commit and lets go of it.
  func attempt(_ proposals: [Proposal]) throws { _ = try commit(proposals) }

  /// Reads a commit and merges it.
  @discardableResult
  func follow(_ message: [UInt8]) throws -> CommitEffects {
    guard case .commit(let commit) = try group.receive(message) else { throw MLSError(.unsupported) }
    let effects = commit.effects
    try group.merge(commit)
    return effects
  }

  func read(_ message: [UInt8]) throws -> ApplicationMessage {
    guard case .application(let message) = try group.receive(message) else { throw MLSError(.unsupported) }
    return message
  }

  func say(_ text: String) throws -> [UInt8] { try group.protect(Array(text.utf8)) }

  func hear(_ message: [UInt8]) throws -> String { String(decoding: try read(message).content, as: UTF8.self) }

  @discardableResult
  func note(_ message: [UInt8]) throws -> ReceivedProposal {
    guard case .proposal(let proposal) = try group.receive(message) else { throw MLSError(.unsupported) }
    return proposal
  }
}

extension Client {
  var isActive: Bool { group.isActive }
  var hasPendingProposals: Bool { group.hasPendingProposals }
}

extension PendingCommit {
  /// The welcome, which a commit with an add must have.
  func requireWelcome() throws -> [UInt8] {
    let welcome = welcome
    return try #require(welcome)
  }
}

/// One who is not in the group yet.
struct Invitee {
  let name: String
  let identity: ClientIdentity
  let bundle: KeyPackageBundle

  init(
    _ name: String, suite: CipherSuite = .x25519ChaCha20Poly1305, capabilities: Capabilities? = nil,
    identity: ClientIdentity? = nil, lifetime: Lifetime = someYear, lastResort: Bool = false
  ) throws {
    self.name = name
    self.identity = identity ?? Client.identity(name)
    bundle = try KeyPackageBundle.generate(
      suite: suite, identity: self.identity, capabilities: capabilities ?? Capabilities(extensions: [0xff01]),
      lifetime: lifetime, lastResort: lastResort)
  }

  var keyPackage: KeyPackage { bundle.keyPackage }

  func join(
    _ welcome: [UInt8], tree: [UInt8]? = nil, psks: [ExternalPSK] = [], policy: GroupPolicy = GroupPolicy()
  ) throws -> Client {
    let join = try Group.join(
      welcome: welcome, keyPackage: bundle, identity: identity, ratchetTree: tree, psks: psks, policy: policy)
    let suite = CipherSuite(rawValue: bundle.keyPackage.cipherSuite)
    return Client(name, suite: suite, identity: identity, group: join.adopt())
  }
}

/// Several members of one group.
struct Members {
  var all: [Client]

  subscript(place: Int) -> Client { all[place] }

  /// A group of `count`, all added by the first in one commit.
  init(
    _ count: Int, suite: CipherSuite = .x25519ChaCha20Poly1305,
    capabilities: Capabilities = Capabilities(extensions: [0xff01]), extensions: [Extension] = [],
    policy: GroupPolicy = GroupPolicy()
  ) throws {
    all = [
      try Client.create(
        "member 0", suite: suite, capabilities: capabilities, extensions: extensions, policy: policy)
    ]
    guard count > 1 else { return }
    let invitees = try (1..<count).map {
      try Invitee("member \($0)", suite: suite, capabilities: capabilities)
    }
    let pending = try all[0].commit(invitees.map { .add($0.keyPackage) })
    let welcome = try pending.requireWelcome()
    try all[0].group.merge(pending)
    all += try invitees.map { try $0.join(welcome, policy: policy) }
  }

  init(_ all: [Client]) { self.all = all }

  func restored() throws -> Members { Members(try all.map { try $0.restored() }) }

  /// Has one member commit and all others follow. Those removed stay in ``all`` if `keepingRemoved`.
  @discardableResult
  mutating func commit(
    by place: Int, _ proposals: [Proposal] = [], joining invitees: [Invitee] = [],
    options: CommitOptions = CommitOptions()
  ) throws -> CommitEffects {
    let committer = all[place]
    let pending = try committer.commit(proposals + invitees.map { .add($0.keyPackage) }, options: options)
    let (message, welcome, effects) = (pending.message, pending.welcome, pending.effects)
    try committer.group.merge(pending)
    for member in all where member !== committer {
      let theirs = try member.follow(message)
      #expect(theirs.added == effects.added && theirs.removed == effects.removed)
      #expect(theirs.updated == effects.updated && theirs.extensionsChanged == effects.extensionsChanged)
      #expect(theirs.removesSelf == !member.group.isActive)
    }
    all.removeAll { !$0.group.isActive }
    for invitee in invitees { all.append(try invitee.join(try #require(welcome), policy: committer.group.policy)) }
    return effects
  }

  /// Whether all are in the same state and, if `talking`, hear each other.
  func expectAgreement(talking: Bool = true, _ place: SourceLocation = #_sourceLocation) throws {
    let first = all[0]
    for member in all {
      #expect(member.group.epochAuthenticator == first.group.epochAuthenticator, sourceLocation: place)
      #expect(member.group.treeHash == first.group.treeHash, sourceLocation: place)
      #expect(member.group.groupContext == first.group.groupContext, sourceLocation: place)
      #expect(member.group.ratchetTree == first.group.ratchetTree, sourceLocation: place)
      #expect(member.group.memberCount == all.count, sourceLocation: place)
      #expect(member.group.state.privateKeys.isConsistent(with: member.group.state.tree), sourceLocation: place)
    }
    for sender in all where talking {
      let message = try sender.say("from \(sender.name)")
      for receiver in all where receiver !== sender {
        #expect(try receiver.hear(message) == "from \(sender.name)", sourceLocation: place)
      }
    }
  }
}
