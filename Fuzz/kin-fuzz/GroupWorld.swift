import CryptoPrimitives

@testable import E2ECrypto

/// One device. It may lag behind, hold a commit that is not sent, or have lost its state.
final class Peer {
  let name: String
  /// None if its state is lost.
  var box: Fixture.Box?
  /// With what it comes back if its state is lost.
  private var lastIdentity: ClientIdentity
  /// The first epoch that it can read.
  var joined: Epoch
  var inbox: [Letter] = []
  var hasRead: [Letter] = []
  var pending: Secret?
  /// It lacks a key that an accepted commit needs, and must come back from outside.
  var isStuck = false

  init(_ name: String, _ identity: ClientIdentity, _ box: Fixture.Box) {
    self.name = name
    lastIdentity = identity
    self.box = box
    joined = box.group.epoch
  }

  var epoch: Epoch { box?.group.epoch ?? Epoch(0) }
  var isActive: Bool { box?.group.isActive ?? false }

  /// The one in its leaf, which it may have changed.
  var identity: ClientIdentity { box?.group.identity ?? lastIdentity }

  func forget() {
    lastIdentity = identity
    box = nil
    pending = nil
    isStuck = true
  }
}

/// An application message, and what is true of it.
struct Letter {
  let number: Int
  let bytes: [UInt8]
  let content: [UInt8]
  let sender: String
  let groupID: GroupID
  let epoch: Epoch
}

/// A proposal that was sent. All who hear it in its epoch come to the same verdict.
final class Posted {
  let bytes: [UInt8]
  let epoch: Epoch
  let sender: String?
  var verdict: MLSError.Code??

  init(_ bytes: [UInt8], epoch: Epoch, sender: String?) {
    self.bytes = bytes
    self.epoch = epoch
    self.sender = sender
  }
}

/// What is true of an epoch, as whoever began it has it.
struct Truth {
  let authenticator: Secret
  let treeHash: [UInt8]
  let context: [UInt8]
  let exported: Secret
  let members: [Member]

  init(_ box: Fixture.Box) throws {
    authenticator = box.group.epochAuthenticator
    treeHash = box.group.treeHash
    context = box.group.groupContext
    exported = box.group.state.secrets.exporter
    members = box.group.members
  }
}

/// A commit that the delivery service has taken: it ends `epoch`.
struct Accepted {
  let epoch: Epoch
  let message: [UInt8]
  let usesPSK: Bool
  let ends: Bool
  let truth: Truth
}

/// A group, its members wherever they stand, and a delivery service that takes one commit for each epoch.
final class GroupWorld {
  var peers: [Peer] = []
  var log: [Accepted] = []
  var first = Epoch(0)
  var letters: [Letter] = []
  var posted: [Posted] = []
  /// Those who may be added, by signature key.
  var invited: [[UInt8]: Outsider] = [:]
  var named = 0
  let suite: CipherSuite
  let policy: GroupPolicy
  let gatekeeper = fixedIdentity("gatekeeper")
  let psk = ExternalPSK(id: [1], secret: Secret(copying: [1, 2, 3]))

  var head: Epoch { Epoch(first.rawValue + UInt64(log.count)) }
  var isEnded: Bool { log.last?.ends ?? false }
  /// Whoever stands at the head and can act.
  var upToDate: [Peer] { peers.filter { $0.isActive && !$0.isStuck && $0.epoch == head } }

  init(setting: UInt8) throws {
    suite = setting & 1 == 0 ? .x25519ChaCha20Poly1305 : CipherSuite(rawValue: 1)
    var policy = GroupPolicy()
    policy.maxPastEpochs = Int(setting >> 1 & 3)
    policy.commitsBeforeSending = setting & 8 != 0
    policy.sendsPublicHandshakes = setting & 16 != 0
    policy.acceptsPublicHandshakes = setting & 16 != 0
    policy.customProposals = [CustomProposalType(type: knownProposal, requiresPath: false)]
    self.policy = policy
    let creator = fixedIdentity("peer 0")
    let senders = [
      ExternalSender(signatureKey: gatekeeper.signingKey.publicKey, credential: gatekeeper.credential)
    ]
    let group = try Group.create(
      groupID: GroupID(Array("group of the fuzzer".utf8)), suite: suite, identity: creator,
      capabilities: knownCapabilities, extensions: [.externalSenders(senders)],
      lifetime: lifetime, policy: policy)
    let box = Fixture.Box(group)
    box.group.setPreSharedKey(psk)
    peers = [Peer("peer 0", creator, box)]
    var options = CommitOptions()
    options.forcesPath = setting & 32 != 0
    let others = try (0..<2 + Int(setting >> 6)).map { _ in try invite() }
    let pending = try box.group.commit(others.map { .add($0.bundle.keyPackage) }, options: options, now: today)
    let (welcome, added) = (pending.welcome, pending.effects.added)
    try box.group.merge(pending)
    first = box.group.epoch
    peers[0].joined = first
    try welcomeIn(added, welcome, truth: Truth(box))
  }

  func invite() throws -> Outsider {
    named += 1
    let outsider = try Outsider("peer \(named)", suite: suite)
    invited[outsider.identity.signingKey.publicKey] = outsider
    return outsider
  }

  func posts(at epoch: Epoch) -> [Posted] { posted.filter { $0.epoch == epoch } }

  // MARK: Letters

  func say(_ peer: Peer, padded: Bool) {
    guard let box = peer.box else { return }
    let content = Array("letter \(letters.count)".utf8)
    do {
      let bytes = try box.group.protect(content, authenticatedData: [7], paddedTo: padded ? 200 : 0)
      let letter = Letter(
        number: letters.count, bytes: bytes, content: content, sender: peer.name, groupID: box.group.groupID,
        epoch: peer.epoch)
      letters.append(letter)
      for other in peers where other !== peer { other.inbox.append(letter) }
    } catch MLSError(.commitFirst) {
      require(box.group.hasPendingProposals && policy.commitsBeforeSending, "sending waits for a commit without need")
    } catch {
      require(error == MLSError(.inactive) && !peer.isActive, "\(peer.name) cannot send: \(error)")
    }
  }

  func read(_ letter: Letter, by peer: Peer) {
    guard let box = peer.box else { return }
    let epoch = peer.epoch
    let before = peer.hasRead.contains { $0.number == letter.number }
    do {
      guard case .application(let message) = try box.group.receive(letter.bytes) else {
        found("a letter was read as something else")
      }
      require(!before, "letter \(letter.number) was read twice by \(peer.name)")
      require(letter.sender != peer.name, "\(peer.name) reads its own letter")
      require(
        message.content == letter.content && message.epoch == letter.epoch && message.authenticatedData == [7],
        "another letter came out")
      require(message.senderCredential.identity == Array(letter.sender.utf8), "the letter is another's")
      require(letter.epoch >= peer.joined, "\(peer.name) reads what was before it")
      peer.hasRead.append(letter)
    } catch {
      let window = letter.epoch.rawValue + UInt64(policy.maxPastEpochs)
      switch error {
      case MLSError(.futureEpoch): require(letter.epoch > epoch, "an epoch in the future that is not")
      case MLSError(.epochTooOld):
        require(
          letter.epoch < peer.joined || window < epoch.rawValue, "letter \(letter.number) is lost for \(peer.name)")
      case MLSError(.keyConsumed): require(before, "the key of letter \(letter.number) is gone, and it was not read")
      case MLSError(.ownMessage): require(letter.sender == peer.name, "another's letter taken for an own one")
      case MLSError(.inactive): require(!peer.isActive, "not inactive")
      case MLSError(.wrongGroup): require(letter.groupID != box.group.groupID, "not another group")
      default: found("\(peer.name) in epoch \(epoch) cannot read a letter of \(letter.epoch): \(error)")
      }
      if error == MLSError(.futureEpoch) { return }
    }
    peer.inbox.removeAll { $0.number == letter.number }
  }

  // MARK: What must be refused

  /// Expects that a message is refused and changes nothing that matters.
  func refuse(_ message: [UInt8], by peer: Peer, _ what: String) {
    guard let box = peer.box else { return }
    let before = (box.group.epoch, box.group.treeHash, box.group.hasPendingProposals)
    do {
      _ = try box.group.receive(message)
      found("\(peer.name) accepted \(what)")
    } catch { require(error.family != .fault, "\(what) is taken for a fault of ours: \(error)") }
    require(
      box.group.epoch == before.0 && box.group.treeHash == before.1 && box.group.hasPendingProposals == before.2,
      "\(what) changed the group")
  }

  func damage(for peer: Peer, _ choices: inout Choices) {
    let all =
      peer.inbox.map(\.bytes) + posts(at: peer.epoch).map(\.bytes)
      + log.filter { $0.epoch == peer.epoch }.map(\.message)
    guard var message = choices.pick(all), !message.isEmpty else { return }
    let place = (Int(choices.byte()) << 8 | Int(choices.byte())) % message.count
    switch choices.byte() {
    case 0: message.removeLast(message.count - place)
    case 1: message.append(0)
    case let bit: message[place] ^= 1 << (bit & 7)
    }
    refuse(message, by: peer, "a damaged message")
  }

  /// What the group's state forbids.
  func tryTheImpossible(with peer: Peer) {
    guard let box = peer.box else { return }
    if !peer.isActive {
      require((try? box.group.groupInfo()) == nil, "an inactive group gives a group info")
      require((try? box.group.export(label: "x", length: 8)) == nil, "an inactive group exports")
    }
    let outside = box.group.member(at: LeafIndex(.max))
    require(outside == nil, "a member out of nowhere")
    do {
      _ = try box.group.propose(.remove(LeafIndex(.max)), now: today)
      found("a proposal to remove nobody")
    } catch {}
    do {
      _ = try box.group.commit([.remove(box.group.ownLeafIndex)], includingReceived: false, now: today)
      found("a commit that removes its committer")
    } catch {}
  }

  // MARK: Agreement

  func agree(_ peer: Peer, with truth: Truth) {
    guard let box = peer.box else { return }
    require(box.group.epochAuthenticator == truth.authenticator, "\(peer.name) has another authenticator")
    require(box.group.treeHash == truth.treeHash, "\(peer.name) has another tree")
    require(box.group.groupContext == truth.context, "\(peer.name) has another context")
    require(box.group.state.secrets.exporter == truth.exported, "\(peer.name) exports something else")
    require(box.group.members == truth.members, "\(peer.name) sees other members")
    require(box.group.state.privateKeys.isConsistent(with: box.group.state.tree), "\(peer.name) holds wrong keys")
  }

  /// Brings everybody to the head; who cannot follow comes back from outside. Then all must have read all and hear each other.
  func settle() throws {
    var isSettled = false
    while !isSettled {
      isSettled = true
      for peer in peers {
        while try follow(peer) {}
        if peer.isStuck, !isEnded, !upToDate.isEmpty {
          try rejoin(peer)
          isSettled = false
        }
      }
    }
    guard !isEnded else { return }
    for peer in upToDate {
      for letter in peer.inbox { read(letter, by: peer) }
      require(peer.inbox.isEmpty, "letters remain")
    }
    for peer in upToDate {
      peer.box?.group.policy.commitsBeforeSending = false
      say(peer, padded: false)
    }
    for peer in upToDate {
      for letter in peer.inbox { read(letter, by: peer) }
      require(peer.hasRead.suffix(upToDate.count - 1).allSatisfy { $0.epoch == head }, "\(peer.name) has not heard all")
    }
  }
}
