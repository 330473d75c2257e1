import BenchKit
import CryptoPrimitives
import E2ECrypto

/// The crypto core in units of primitives measured in the same run: S signs, V verifies, D is one X25519 exchange.
enum MLSBench {
  static let suite = CipherSuite(rawValue: 3)
  static let now = Timestamp(secondsSinceEpoch: 1_800_000_000)

  static func run() throws {
    let message = Random.bytes(100)
    let key = SigningKey.generate()
    let signature = try key.sign(message)
    let sign = try Timing.median { _ = try key.sign(message) }
    let verify = Timing.median {
      _ = SignatureScheme.ed25519.verify(publicKey: key.publicKey, message: message, signature: signature)
    }
    print("S = \(fixed(sign / 1000)) µs, V = \(fixed(verify / 1000)) µs (libsodium Ed25519, 100 bytes)\n")

    header("operation", "µs", "in units", "")
    var pair = try Pair()
    for size in [100, 65_536] {
      let content = Random.bytes(size)
      let protect = try Timing.median { _ = try pair.alice.protect(content) }
      row("protect \(size) B", fixed(protect / 1000), fixed(protect / sign, 2) + " S", "")
      // A fresh pair: a reader follows a sender by at most 1,000 unseen messages.
      var reading = try Pair()
      let unprotect = try unprotectCost(&reading, content)
      row("unprotect \(size) B", fixed(unprotect / 1000), fixed(unprotect / verify, 2) + " V", "")
    }
    for count in [10, 100, 1_000] { try group(of: count, verify: verify) }
  }

  /// Messages are sealed beforehand, so that only reading them is timed; each can be read once.
  private static func unprotectCost(_ pair: inout Pair, _ content: [UInt8]) throws -> Double {
    let count = content.count > 1_000 ? 100 : 500
    var samples: [Double] = []
    for _ in 0..<7 {
      var messages: [[UInt8]] = []
      for _ in 0..<count { messages.append(try pair.alice.protect(content)) }
      let time = try Timing.elapsed { for message in messages { _ = try pair.bob.receive(message) } }
      samples.append(time / Double(count))
    }
    return samples.sorted()[samples.count / 2]
  }

  private static func group(of count: Int, verify: Double) throws {
    var bundles: [KeyPackageBundle] = []
    for index in 1..<count { bundles.append(try bundle(index)) }
    var group = try Group.create(
      groupID: GroupID(Random.bytes(16)), suite: suite, identity: identity(0), lifetime: lifetime)
    var welcome: [UInt8] = []
    let adds = bundles.map { Proposal.add($0.keyPackage) }
    let create = try Timing.elapsed {
      let pending = try group.commit(adds, now: now)
      welcome = pending.welcome ?? []
      try group.merge(pending)
    }
    row(
      "create \(count) by one commit", fixed(create / 1000), fixed(create / verify / Double(count), 2) + " V a member",
      "welcome \(welcome.count) B")
    let last = bundles[count - 2]
    let join = try Timing.median(samples: 3, budget: .milliseconds(1)) {
      _ = try Group.join(welcome: welcome, keyPackage: last, identity: identity(count - 1)).adopt()
    }
    row(
      "join \(count) from the Welcome", fixed(join / 1000), fixed(join / verify / Double(count), 2) + " V a member", "")
    var member = try Group.join(welcome: welcome, keyPackage: last, identity: identity(count - 1)).adopt()
    var options = CommitOptions()
    options.forcesPath = true
    var commit: [UInt8] = []
    let empty = try Timing.elapsed {
      let pending = try group.commit(options: options, now: now)
      commit = pending.message
      try group.merge(pending)
    }
    row(
      "empty commit at \(count), fresh tree", fixed(empty / 1000), fixed(empty / verify, 1) + " V", "\(commit.count) B")
    let process = try Timing.elapsed {
      switch try member.receive(commit) {
      case .commit(let received): try member.merge(received)
      default: throw MLSError(.fault)
      }
    }
    row("process it at \(count)", fixed(process / 1000), fixed(process / verify, 1) + " V", "")
    let state = member.encodeState()
    row(
      "saved state at \(count)", "", "",
      "epoch part \(state.epochPart.count) B, message part \(state.messagePart.count) B")
  }

  private static let lifetime = Lifetime(
    notBefore: Timestamp(secondsSinceEpoch: now.secondsSinceEpoch - 3600),
    notAfter: Timestamp(secondsSinceEpoch: now.secondsSinceEpoch + 30 * 86_400))

  private static func identity(_ index: Int) -> ClientIdentity { identities.identity(index) }
  private static let identities = Identities()

  private static func bundle(_ index: Int) throws -> KeyPackageBundle {
    try KeyPackageBundle.generate(suite: suite, identity: identity(index), lifetime: lifetime)
  }

  /// Two groups of the same two members.
  private struct Pair: ~Copyable {
    var alice: Group
    var bob: Group

    init() throws {
      let bundle = try MLSBench.bundle(1)
      var first = try Group.create(
        groupID: GroupID(Random.bytes(16)), suite: suite, identity: identity(0), lifetime: lifetime)
      let pending = try first.commit([.add(bundle.keyPackage)], now: now)
      let welcome = pending.welcome ?? []
      try first.merge(pending)
      let second = try Group.join(welcome: welcome, keyPackage: bundle, identity: identity(1)).adopt()
      alice = first
      bob = second
    }
  }
}

/// Members' identities, made once.
private struct Identities: Sendable {
  private let all: [ClientIdentity] = (0..<1_000).map { index in
    ClientIdentity(credential: .basic(identity: Array("member \(index)".utf8)), signingKey: .generate())
  }

  func identity(_ index: Int) -> ClientIdentity { all[index] }
}
