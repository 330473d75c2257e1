import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// Looks for keys in the serialised state after each event that should have erased them (RFC 9420 sections 7.5 and 9.2).
@Suite struct ErasureTests {
  // MARK: What to look for

  /// Every secret that the current epoch of a group holds, by name.
  private func census(_ client: Client) throws -> [String: Secret] {
    let state = client.group.state
    let keys = state.secrets
    var found = [
      "sender data": keys.senderData, "exporter": keys.exporter, "external": keys.external,
      "membership": keys.membership, "resumption": keys.resumption, "authenticator": keys.authenticator,
      "init": keys.initSecret, "leaf key": state.privateKeys.leafKey.secret,
    ]
    for place in stride(from: 1, to: state.tree.shape.nodeCount, by: 2) {
      found["node \(place)"] = state.privateKeys.key(for: NodeIndex(place))?.secret
    }
    return found.merging(try census(state.secretTree)) { $1 }
  }

  /// Every secret of a secret tree, read from its encoding.
  private func census(_ tree: SecretTree) throws -> [String: Secret] {
    var writer = SecretWriter()
    tree.encode(into: &writer)
    return try writer.finish().decode { (reader) throws(WireError) in
      var found: [String: Secret] = [:]
      func ratchet(_ name: String, _ reader: inout Reader) throws(WireError) {
        _ = try reader.readUInt32()
        if try reader.readBool() { found["\(name) ratchet"] = try reader.readSecret(max: 64) }
        for _ in 0..<(try reader.readCount()) {
          let generation = try reader.readUInt32()
          found["\(name) key \(generation)"] = try reader.readSecret(max: 64)
          found["\(name) nonce \(generation)"] = try reader.readSecret(max: 64)
        }
      }
      _ = try reader.readUInt32()
      for _ in 0..<(try reader.readCount()) {
        let node = try reader.readUInt32()
        found["secret tree \(node)"] = try reader.readSecret(max: 64)
      }
      for _ in 0..<(try reader.readCount()) {
        let leaf = try reader.readUInt32()
        if try reader.readBool() { try ratchet("handshake \(leaf)", &reader) }
        try ratchet("application \(leaf)", &reader)
      }
      return found
    }
  }

  private func state(_ client: Client) -> [UInt8] {
    let state = client.group.encodeState()
    return state.epochPart.exposed + state.messagePart.exposed
  }

  /// The names of those secrets that are in the saved state.
  private func kept(_ secrets: [String: Secret], by client: Client) -> Set<String> {
    let state = state(client)
    return Set(secrets.filter { state.contains($0.value.exposed) }.keys)
  }

  // MARK: Epochs

  /// The census itself must find all that it lists, or none of the tests here would mean anything.
  @Test func whatIsHeldIsFound() throws {
    var members = try Members(4)
    for place in 0..<4 { try members.commit(by: place) }
    _ = try members[1].say("one")
    for member in members.all {
      let secrets = try census(member)
      #expect(secrets.count >= 11 && kept(secrets, by: member) == Set(secrets.keys))
    }
  }

  /// What the epoch leaves behind when a commit ends it: what reads late messages, and the resumption key.
  @Test func aCommitEndsItsEpoch() throws {
    var members = try Members(4)
    for place in 0..<4 { try members.commit(by: place) }
    // Everybody has spoken, so that all ratchets are there, and nothing above them.
    try members.expectAgreement()
    let before = try members.all.map(census)
    try members.commit(by: 2)
    for (place, member) in members.all.enumerated() {
      let own = member.group.ownLeafIndex.rawValue
      let past = (0..<UInt32(4)).filter { $0 != own }.map { "application \($0) ratchet" }
      var expected: Set = ["sender data", "resumption"]
      expected.formUnion(past.filter { before[place][$0] != nil })
      if place != 2 {
        // The committer's path replaces all nodes above those who share them.
        expected.insert("leaf key")
        if place < 2 { expected.insert("node 1") }
      }
      #expect(kept(before[place], by: member) == expected, "\(member.name)")
    }
  }

  /// Once the window of past epochs and that of resumption keys have moved on, nothing is left.
  @Test func epochsExpire() throws {
    var members = try Members(3)
    for place in 0..<3 { try members.commit(by: place) }
    try members.expectAgreement()
    let before = try members.all.map(census)
    let policy = GroupPolicy()
    for step in 1...max(policy.maxPastEpochs, policy.maxResumptionEpochs) + 1 {
      for place in 0..<3 { try members.commit(by: place) }
      for (secrets, member) in zip(before, members.all) {
        let left = kept(secrets, by: member)
        if step * 3 > policy.maxPastEpochs { #expect(left.isDisjoint(with: ["sender data", "application 0 ratchet"])) }
        if step * 3 >= policy.maxResumptionEpochs { #expect(left.isEmpty, "\(member.name) keeps \(left)") }
      }
    }
  }

  /// Every length of the window, none included.
  @Test(arguments: [0, 1, 2, 5]) func thePolicyDecidesHowLong(_ limit: Int) throws {
    var members = try Members(2)
    for member in members.all {
      member.group.policy.maxPastEpochs = limit
      member.group.policy.maxResumptionEpochs = limit
    }
    try members.commit(by: 0)
    let old = try census(members[1])
    for step in 1...limit + 2 {
      try members.commit(by: 0)
      let left = kept(old, by: members[1])
      #expect(left.contains("sender data") == (step <= limit), "after \(step) commits")
      #expect(left.contains("resumption") == (step < limit), "after \(step) commits")
      #expect(left.isDisjoint(with: ["init", "exporter", "external", "membership", "authenticator"]))
    }
  }

  /// What leads from one epoch to the next is in nobody's state: neither joiner, commit, welcome nor epoch secret.
  @Test func whatLeadsToAnEpochIsNotKept() throws {
    var members = try Members(2)
    let suite = members[0].group.state.suite
    let psk = ExternalPSK(id: [1], secret: .random(count: 32))
    for member in members.all { member.group.setPreSharedKey(psk) }
    let initSecret = members[0].group.state.secrets.initSecret
    let proposal = members[0].group.preSharedKeyProposal(externalID: [1])
    guard case .preSharedKey(let id) = proposal else { return }
    let invitee = try Invitee("guest")
    // Without a path, so that all of it can be worked out here.
    let pending = try members[0].commit([.add(invitee.keyPackage), proposal])
    let (message, welcome) = (pending.message, try pending.requireWelcome())
    try members[0].group.merge(pending)
    try members[1].follow(message)
    members.all.append(try invitee.join(welcome, psks: [psk]))
    let context = members[0].group.groupContext
    let joiner = try KeySchedule.joinerSecret(
      suite, initSecret: initSecret, commitSecret: suite.zeroSecret, context: context)
    let pskSecret = try PSKSecret.combine(suite, [(id, psk.secret)])
    let member = suite.extract(salt: joiner, pskSecret)
    let epoch = try suite.expandWithLabel(member, "epoch", context: context, length: suite.hashSize)
    let secrets = try EpochSecrets(suite, epochSecret: epoch)
    #expect(secrets.authenticator == members[2].group.epochAuthenticator)
    let consumed = [
      "init": initSecret, "joiner": joiner, "psk": pskSecret, "member": member, "epoch": epoch,
      "welcome": try suite.deriveSecret(member, "welcome"), "confirmation": secrets.confirmation,
      "init key": invitee.bundle.initKey.secret,
    ]
    for client in members.all { #expect(kept(consumed, by: client).isEmpty, "\(client.name)") }
    // The encryption secret goes as soon as a first message was sent or read.
    try members.expectAgreement()
    for client in members.all { #expect(kept(["encryption": secrets.encryption], by: client).isEmpty) }
  }

  // MARK: Messages

  /// After each message that was sent or read in any order, its key and whatever leads to it are gone.
  @Test func messageKeysAreSpent() throws {
    let members = try Members(3)
    let suite = members[0].group.state.suite
    var tree = members[1].group.state.secretTree
    let root = try census(tree)
    var keys: [[String: Secret]] = []
    for generation in 0..<6 {
      let before = try census(tree)
      let (key, nonce) = try tree.nextKey(suite, leaf: LeafIndex(0), handshake: false).expose()
      keys.append(["key \(generation)": key, "nonce \(generation)": nonce])
      if generation > 0 { keys[generation]["ratchet \(generation)"] = before["application 0 ratchet"] }
    }
    let messages = try (0..<6).map { try members[0].say("\($0)") }
    for secrets in keys { #expect(kept(secrets, by: members[0]).isEmpty, "the sender keeps a spent key") }
    #expect(kept(root, by: members[0]).isEmpty, "the sender keeps what its keys come from")
    var unread = Set(0..<6)
    for generation in [3, 0, 5, 1, 2, 4] {
      _ = try members[1].hear(messages[generation])
      unread.remove(generation)
      #expect(kept(root, by: members[1]).isEmpty)
      for (number, secrets) in keys.enumerated() {
        let left = kept(secrets, by: members[1])
        // Keys that were skipped wait for their message; of those ahead there is only what the next one comes from.
        let last = (0..<6).filter { !unread.contains($0) }.max() ?? 0
        let expected: Set<String> =
          number > last
          ? (number == last + 1 ? ["ratchet \(number)"] : [])
          : unread.contains(number) ? ["key \(number)", "nonce \(number)"] : []
        #expect(left == expected, "\(number) after \(generation)")
      }
    }
  }

  /// A skipped key waits no longer than its epoch is kept.
  @Test func skippedKeysGoWithTheirEpoch() throws {
    var members = try Members(2)
    let skipped = try members[0].say("never delivered")
    _ = try members[1].hear(try members[0].say("next"))
    let waiting = try census(members[1].group.state.secretTree).filter { $0.key.hasPrefix("application 0 key") }
    #expect(waiting.count == 1 && kept(waiting, by: members[1]).count == 1)
    for _ in 0..<GroupPolicy().maxPastEpochs { try members.commit(by: 0) }
    #expect(kept(waiting, by: members[1]).count == 1)
    try members.commit(by: 0)
    #expect(kept(waiting, by: members[1]).isEmpty)
    #expect(throws: MLSError(.epochTooOld)) { try members[1].hear(skipped) }
  }

  // MARK: Leaves, updates, commits that are dropped

  @Test func updatesReplaceTheLeafKey() throws {
    var members = try Members(3)
    let old = ["old": members[1].group.state.privateKeys.leafKey.secret]
    let update = try members[1].group.proposeUpdate()
    let fresh = members[1].group.proposals.entries.compactMap(\.ownLeafKey?.secret)
    #expect(fresh.count == 1)
    let new = ["new": fresh[0]]
    #expect(kept(old.merging(new) { $1 }, by: members[1]) == ["old", "new"])
    for place in [0, 2] { try members[place].note(update) }
    try members.commit(by: 0)
    #expect(kept(old.merging(new) { $1 }, by: members[1]) == ["new"])
    // One that no commit covers goes with its epoch.
    _ = try members[1].group.proposeUpdate()
    let unused = ["unused": try #require(members[1].group.proposals.entries.first?.ownLeafKey?.secret)]
    try members.commit(by: 2)
    #expect(kept(unused, by: members[1]).isEmpty && kept(new, by: members[1]) == ["new"])
  }

  @Test func aDroppedCommitLeavesNothing() throws {
    let members = try Members(3)
    let before = state(members[0])
    let pending = try members[0].commit([.remove(LeafIndex(2))])
    var next = pending.next
    let tree = next.privateKeys
    var made = [
      "init": next.secrets.initSecret, "sender data": next.secrets.senderData, "leaf key": tree.leafKey.secret,
    ]
    for place in stride(from: 1, to: next.tree.shape.nodeCount, by: 2) {
      made["node \(place)"] = tree.key(for: NodeIndex(place))?.secret
    }
    #expect(made.count > 3 && kept(made, by: members[0]).isEmpty)
    // It is only the own handshake ratchet that has moved on.
    let after = state(members[0])
    #expect(after != before)
    next = members[0].group.state
    try members[0].group.merge(pending)
    #expect(kept(made, by: members[0]) == Set(made.keys))
  }

  // MARK: Removal

  /// Nothing of the group remains with one who was removed: neither of this epoch nor of those before, neither proposals
  /// that waited nor keys that the application gave.
  @Test func removalErasesAll() throws {
    var members = try Members(3)
    for _ in 0..<2 {
      for place in 0..<3 { try members.commit(by: place) }
      try members.expectAgreement()
    }
    let removed = members[2]
    removed.group.setPreSharedKey(ExternalPSK(id: [1], secret: .random(count: 32)))
    let update = try removed.group.proposeUpdate()
    for place in 0..<2 { try members[place].note(update) }
    var secrets = try census(removed)
    for (place, epoch) in removed.group.past.epochs.enumerated() {
      secrets["past \(place)"] = epoch.senderDataSecret
      secrets.merge(try census(epoch.secretTree).map { ("past \(place) \($0)", $1) }) { $1 }
    }
    secrets["resumption before"] = removed.group.psks.resumption.first?.secret
    secrets["given"] = removed.group.psks.external[[1]]
    secrets["update"] = removed.group.proposals.entries.first?.ownLeafKey?.secret
    #expect(kept(secrets, by: removed) == Set(secrets.keys) && secrets.count > 20)
    try members.commit(by: 0, [.remove(LeafIndex(2))])
    #expect(!removed.isActive)
    #expect(kept(secrets, by: removed).isEmpty, "\(kept(secrets, by: removed)) remain")
    let again = try removed.restored()
    #expect(!again.isActive)
  }
}
