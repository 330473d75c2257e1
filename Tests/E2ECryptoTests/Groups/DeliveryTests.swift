import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// What a malicious or unlucky delivery service can do to messages.
@Suite struct DeliveryTests {
  @Test func messagesComeOutOfOrder() throws {
    let members = try Members(2)
    let messages = try (0..<50).map { try members[0].say("\($0)") }
    for place in (0..<50).shuffled() { #expect(try members[1].hear(messages[place]) == "\(place)") }
    for message in messages { #expect(throws: MLSError(.keyConsumed)) { try members[1].hear(message) } }
  }

  @Test func windowIsBounded() throws {
    let members = try Members(2)
    members[1].group.policy.maxSkippedKeys = 5
    members[1].group.policy.maxForwardDistance = 20
    let messages = try (0..<60).map { try members[0].say("\($0)") }
    #expect(throws: MLSError(.forwardDistanceExceeded)) { try members[1].hear(messages[21]) }
    #expect(try members[1].hear(messages[20]) == "20")
    // Of the twenty before it, the last five are kept.
    #expect(throws: MLSError(.keyConsumed)) { try members[1].hear(messages[14]) }
    #expect(try members[1].hear(messages[15]) == "15")
    #expect(try members[1].hear(messages[41]) == "41")
  }

  @Test func pastEpochsAreReadForAWhile() throws {
    var members = try Members(3)
    var messages: [[UInt8]] = [try members[0].say("0")]
    for number in 1...4 {
      try members.commit(by: 1)
      messages.append(try members[0].say("\(number)"))
    }
    #expect(throws: MLSError(.epochTooOld)) { try members[2].hear(messages[0]) }
    for number in 1...4 {
      let message = try members[2].read(messages[number])
      #expect(message.content == Array("\(number)".utf8) && message.epoch == Epoch(UInt64(number + 1)))
    }
    for number in 1...4 { #expect(throws: MLSError(.keyConsumed)) { try members[2].hear(messages[number]) } }
  }

  @Test func lateMessageIsJudgedByTheTreeOfItsEpoch() throws {
    var members = try Members(3)
    let goner = members[1]
    let farewell = try goner.say("farewell")
    try members.commit(by: 0, [.remove(LeafIndex(1))])
    // A new member takes the place of the one who left.
    try members.commit(by: 0, joining: [try Invitee("successor")])
    #expect(members[2].group.ownLeafIndex == LeafIndex(1))
    let message = try members[1].read(farewell)
    #expect(message.senderCredential == goner.identity.credential)
    #expect(message.content == Array("farewell".utf8))
    #expect(throws: MLSError(.epochTooOld)) { try members[2].hear(farewell) }
    let restored = try members[0].restored()
    #expect(try restored.read(farewell).senderCredential == goner.identity.credential)
  }

  @Test func futureAndForeignMessages() throws {
    var members = try Members(2)
    let behind = try members[1].restored()
    try members.commit(by: 0)
    #expect(throws: MLSError(.futureEpoch)) { try behind.hear(try members[0].say("ahead")) }
    let others = try Members(2)
    #expect(throws: MLSError(.wrongGroup)) { try members[0].hear(try others[0].say("astray")) }
    #expect(throws: MLSError(.ownMessage)) {
      let own = try members[0].say("mine")
      _ = try members[0].hear(own)
    }
    #expect(throws: MLSError(.ownMessage)) {
      let own = try members[0].commit().message
      try members[0].follow(own)
    }
  }

  @Test func forgeriesDoNotSpendKeys() throws {
    let members = try Members(3)
    let honest = try members[0].say("honest")
    for place in 0..<honest.count {
      var forged = honest
      forged[place] ^= 0x40
      #expect(throws: MLSError.self) { _ = try members[1].group.receive(forged) }
    }
    #expect(try members[1].hear(honest) == "honest")

    // Member 2 knows all keys, so it can seal with member 0's; but it cannot sign for it.
    let insider = members[2]
    let suite = insider.group.state.suite
    for generation in [UInt32(1), 500] {
      var ratchets = insider.group.state.secretTree
      let forged = try ratchets.withKey(
        suite, leaf: LeafIndex(0), handshake: false, generation: generation,
        limits: RatchetLimits(skipped: 1000, forward: 1000)
      ) { (key) throws(MLSError) in
        let framed = FramedContent(
          groupID: insider.group.groupID, epoch: insider.group.epoch, sender: .member(LeafIndex(0)),
          authenticatedData: [], content: .application(Array("I am member 0".utf8)))
        let signed = try AuthenticatedContent(
          signing: framed, as: .privateMessage, suite, key: insider.identity.signingKey,
          context: insider.group.groupContext)
        let message = try PrivateMessage(
          protecting: signed, suite, key: key, senderDataSecret: insider.group.state.secrets.senderData)
        return MLSMessage.privateMessage(message).encoded
      }
      #expect(throws: MLSError(.badSignature)) { try members[1].hear(forged) }
    }
    #expect(try members[1].hear(try members[0].say("still here")) == "still here")
  }

  @Test func commitsCanBeReceivedAgainUntilMerged() throws {
    let members = try Members(2)
    let pending = try members[0].commit()
    for _ in 0..<3 {
      // Looked at and let go of, as an application does that refuses it or has gone down.
      guard case .commit(let commit) = try members[1].group.receive(pending.message) else {
        Issue.record("not a commit")
        return
      }
      #expect(commit.epoch == Epoch(2))
      #expect(members[1].group.epoch == Epoch(1))
    }
    try members[1].follow(pending.message)
    #expect(throws: MLSError(.staleHandshake)) { try members[1].follow(pending.message) }
  }

  @Test func commitWaitsForItsProposals() throws {
    var members = try Members(3)
    let proposal = try members[0].group.proposeUpdate()
    try members[1].note(proposal)
    let pending = try members[1].commit()
    #expect(throws: MLSError(.unknownProposal)) { try members[2].follow(pending.message) }
    try members[2].note(proposal)
    #expect(throws: MLSError(.keyConsumed)) { try members[2].note(proposal) }
    try members[2].follow(pending.message)
    try members[0].follow(pending.message)
    try members[1].group.merge(pending)
    try members.expectAgreement()
    try members.commit(by: 0)
    try members.expectAgreement()
  }

  @Test func splicedBetweenEpochsAndKinds() throws {
    var members = try Members(2)
    let application = try members[0].say("text")
    guard case .privateMessage(let message) = try MLSMessage(decoding: application) else { return }
    func spliced(_ epoch: Epoch, _ type: ContentType) -> [UInt8] {
      var writer = Writer()
      writer.write(ProtocolVersion.mls10)
      writer.write(WireFormat.privateMessage)
      writer.write(message.groupID)
      writer.write(epoch)
      writer.write(type)
      writer.writeVector(message.authenticatedData)
      writer.writeVector(message.encryptedSenderData)
      writer.writeVector(message.ciphertext)
      return writer.bytes
    }
    #expect(spliced(message.epoch, .application) == application)
    #expect(throws: MLSError(.decryptionFailed)) { try members[1].note(spliced(message.epoch, .proposal)) }
    #expect(throws: MLSError(.decryptionFailed)) { try members[1].follow(spliced(message.epoch, .commit)) }
    try members.commit(by: 0)
    #expect(throws: MLSError(.decryptionFailed)) { try members[1].hear(spliced(members[0].group.epoch, .application)) }
    #expect(try members[1].hear(application) == "text")
  }

  @Test func paddingHidesLength() throws {
    let members = try Members(2)
    let short = try members[0].group.protect([1], paddedTo: 512)
    let long = try members[0].group.protect([UInt8](repeating: 1, count: 300), paddedTo: 512)
    #expect(short.count == long.count)
    #expect(try members[1].read(short).content == [1])
    #expect(try members[1].read(long).content.count == 300)
  }
}
