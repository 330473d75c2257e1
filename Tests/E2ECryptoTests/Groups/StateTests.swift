import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

@Suite struct StateTests {
  @Test func everyPointCanBeSavedAndRestored() throws {
    var members = try Members(3)
    func restart() throws { members = try members.restored() }
    try restart()
    let early = try members[0].say("early")
    let late = try members[0].say("late")
    try restart()
    #expect(try members[1].hear(late) == "late")
    try restart()
    #expect(try members[1].hear(early) == "early")
    #expect(throws: MLSError(.keyConsumed)) { try members[1].hear(early) }
    let update = try members[2].group.proposeUpdate()
    try restart()
    try members[0].note(update)
    try members[1].note(update)
    try restart()
    // Made, stored, restored and merged: also after the committer has gone down in between.
    let pending = try members[0].commit()
    let stored = pending.encodeState()
    let (message, effects) = (pending.message, pending.effects)
    try restart()
    let recovered = try PendingCommit(restoring: stored)
    #expect(recovered.message == message && recovered.effects == effects)
    try members[1].follow(message)
    try restart()
    try members[2].follow(message)
    try members[0].group.merge(recovered)
    try restart()
    #expect(try members[2].hear(early) == "early")
    try restart()
    #expect(throws: MLSError(.keyConsumed)) { try members[2].hear(early) }
    try members.expectAgreement()
  }

  @Test func restoredSendersNeverRepeatAGeneration() throws {
    let members = try Members(2)
    var generations: [UInt32] = []
    for _ in 0..<5 {
      let message = try members[0].say("x")
      let saved = GroupState(
        epochPart: members[0].group.encodeState().epochPart, messagePart: members[0].group.encodeMessagePart())
      members[0].group = try Group(restoring: saved, identity: members[0].identity)
      generations.append(try members[1].read(message).generation)
    }
    #expect(generations == [0, 1, 2, 3, 4])
  }

  @Test func partsMustFitTogether() throws {
    var members = try Members(2)
    let old = members[0].group.encodeState()
    try members.commit(by: 1)
    let new = members[0].group.encodeState()
    let identity = members[0].identity
    #expect(throws: MLSError(.stateMismatch)) {
      try discard(
        Group(restoring: GroupState(epochPart: old.epochPart, messagePart: new.messagePart), identity: identity))
    }
    #expect(throws: MLSError(.stateMismatch)) {
      try discard(
        Group(restoring: GroupState(epochPart: new.epochPart, messagePart: old.messagePart), identity: identity))
    }
    #expect(throws: MLSError(.malformed)) {
      try discard(
        Group(restoring: GroupState(epochPart: new.messagePart, messagePart: new.epochPart), identity: identity))
    }
    #expect(throws: MLSError(.identityMismatch)) {
      try discard(Group(restoring: new, identity: members[1].identity))
    }
  }

  private func discard(_ group: consuming Group) {}

  @Test func damagedStateIsRefused() throws {
    let members = try Members(3)
    let saved = members[1].group.encodeState()
    let bytes = saved.messagePart.exposed
    for length in stride(from: 0, to: bytes.count, by: 7) {
      let cut = Secret(copying: Array(bytes.prefix(length)))
      #expect(throws: MLSError.self) {
        try discard(
          Group(
            restoring: GroupState(epochPart: saved.epochPart, messagePart: cut), identity: members[1].identity))
      }
    }
    let epochBytes = saved.epochPart.exposed
    for length in stride(from: 0, to: epochBytes.count, by: 31) {
      let cut = Secret(copying: Array(epochBytes.prefix(length)))
      #expect(throws: MLSError.self) {
        try discard(
          Group(
            restoring: GroupState(epochPart: cut, messagePart: saved.messagePart), identity: members[1].identity))
      }
    }
  }

  @Test func messagePartIsSmall() throws {
    var members = try Members(1)
    try members.commit(by: 0, joining: try (0..<60).map { try Invitee("guest \($0)") })
    _ = try members[0].say("one")
    let state = members[0].group.encodeState()
    #expect(state.messagePart.count < 2_000)
    #expect(state.epochPart.count > 10_000)
  }

  // MARK: Deletion schedule (RFC 9420 section 9.2)

  @Test func spentKeysAreNotInTheState() throws {
    let members = try Members(2)
    let receiver = members[1]
    let suite = receiver.group.state.suite
    var tree = receiver.group.state.secretTree
    let root = try secrets(in: receiver.group.encodeMessagePart(), like: tree)
    // The keys of the first three generations of member 0, and the ratchet secrets between.
    var keys: [Secret] = []
    for _ in 0..<3 {
      let (key, nonce) = try tree.nextKey(suite, leaf: LeafIndex(0), handshake: false).expose()
      keys += [key, nonce]
    }
    let messages = try (0..<3).map { try members[0].say("\($0)") }
    let sender = members[0].group.encodeMessagePart()
    for key in keys { #expect(!sender.exposed.contains(key.exposed), "the sender keeps a spent key") }
    _ = try receiver.hear(messages[2])
    let skipping = receiver.group.encodeMessagePart()
    #expect(skipping.exposed.contains(keys[0].exposed) && skipping.exposed.contains(keys[2].exposed))
    #expect(!skipping.exposed.contains(keys[4].exposed), "the receiver keeps a spent key")
    #expect(!skipping.exposed.contains(root.exposed), "the encryption secret stays after its use")
    _ = try receiver.hear(messages[0])
    #expect(!receiver.group.encodeMessagePart().exposed.contains(keys[0].exposed))
    _ = try receiver.hear(messages[1])
    let done = receiver.group.encodeMessagePart().exposed
    for key in keys { #expect(!done.contains(key.exposed)) }
  }

  /// The encryption secret of a tree of which nothing has been used.
  private func secrets(in part: Secret, like tree: SecretTree) throws -> Secret {
    var writer = SecretWriter()
    tree.encode(into: &writer)
    let encoded = writer.finish()
    return try encoded.decode { (reader) throws(WireError) in
      _ = try reader.readUInt32()
      guard try reader.readCount() == 1 else { throw WireError(.invalidValue) }
      _ = try reader.readUInt32()
      let secret = try reader.readSecret(max: 64)
      _ = try reader.readCount()
      return secret
    }
  }

  @Test func oldEpochsLeaveNothingBehind() throws {
    var members = try Members(3)
    let old = members[1].group.state.secrets
    let oldLeafKey = members[1].group.state.privateKeys.leafKey.secret
    try members.commit(by: 1)
    func state() -> [UInt8] {
      let state = members[1].group.encodeState()
      return state.epochPart.exposed + state.messagePart.exposed
    }
    for secret in [old.initSecret, old.membership, old.exporter, old.external, old.authenticator, oldLeafKey] {
      #expect(!state().contains(secret.exposed))
    }
    #expect(state().contains(old.senderData.exposed), "late messages can no longer be read")
    for _ in 0..<3 { try members.commit(by: 0) }
    #expect(!state().contains(old.senderData.exposed), "a past epoch outlives its window")
  }

  @Test func pastEpochsKeepNoKeysForHandshakesOrSending() throws {
    var members = try Members(3)
    let proposal = try members[0].group.propose(.remove(LeafIndex(2)), now: someday)
    members[1].group.policy.commitsBeforeSending = false
    try members[1].note(proposal)
    try members[2].note(proposal)
    _ = try members[1].say("spoken in the old epoch")
    try members.commit(by: 0)
    let past = members[1].group.past.epochs.last
    var tree = try #require(past).secretTree
    let suite = members[1].group.state.suite
    func key(_ leaf: UInt32, handshake: Bool) throws(MLSError) {
      try tree.withKey(
        suite, leaf: LeafIndex(leaf), handshake: handshake, generation: 7,
        limits: RatchetLimits(skipped: 10, forward: 10)
      ) { (_) throws(MLSError) in }
    }
    #expect(throws: MLSError(.keyConsumed)) { try key(0, handshake: true) }
    #expect(throws: MLSError(.keyConsumed)) { try key(1, handshake: false) }
    try key(0, handshake: false)
  }

  @Test func removalErasesTheKeys() throws {
    var members = try Members(2)
    let removed = members[1]
    let secrets = removed.group.state.secrets
    let leafKey = removed.group.state.privateKeys.leafKey.secret
    try members.commit(by: 0, [.remove(LeafIndex(1))])
    let state = removed.group.encodeState()
    let all = state.epochPart.exposed + state.messagePart.exposed
    for secret in [secrets.initSecret, secrets.senderData, secrets.exporter, secrets.resumption, leafKey] {
      #expect(!all.contains(secret.exposed))
    }
    let again = try Group(restoring: state, identity: removed.identity)
    let isActive = again.isActive
    #expect(!isActive)
  }
}
