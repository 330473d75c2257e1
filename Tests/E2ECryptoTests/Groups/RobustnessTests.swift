import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// Bytes that nobody sealed: every decoder and a live group must refuse them without a crash, and go on.
@Suite struct RobustnessTests {
  /// A small generator with a printed seed, so that a failure can be had again.
  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var value = state
      value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
      value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
      return value ^ (value >> 31)
    }
  }

  private func generator(_ name: String) -> Seeded {
    let seed = Random.uint64()
    print("seed of \(name): \(seed)")
    return Seeded(state: seed)
  }

  /// A few small changes: bytes flipped, inserted, taken out, doubled, or lengths made huge.
  private func mutate(_ bytes: [UInt8], _ random: inout Seeded) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[place] = [0, 1, 0x3f, 0x40, 0x80, 0xbf, 0xff].randomElement(using: &random) ?? 0
      case 2: bytes.remove(at: place)
      case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
      case 4: bytes.removeSubrange(place..<min(bytes.count, place + 8))
      default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 16)], at: place)
      }
    }
    return bytes
  }

  /// One of every kind of message, from a live group.
  private func samples(_ members: Members) throws -> [[UInt8]] {
    let invitee = try Invitee("sample")
    var options = CommitOptions()
    options.makesGroupInfo = true
    let alice = try members[0].restored()
    let application = try alice.say("hello")
    let commit = try alice.group.commit([.add(invitee.keyPackage)], options: options, now: someday)
    let proposal = try alice.group.proposeUpdate(
      identity: ClientIdentity(credential: .x509([[1], [2, 3]]), signingKey: .generate()))
    let data = AppDataDictionary([ComponentID(1): [2], ComponentID(0x8000): [1, 2, 3]])
    let own: [Proposal] = [
      .selfRemove, .custom(type: 0xf001, data: [1, 2, 3]),
      .appDataUpdate(AppDataUpdate(component: ComponentID(0x8000), operation: .update([1]))),
      .appEphemeral(AppEphemeral(component: ComponentID(0x8000), data: [1])),
      .groupContextExtensions([.appData(data)]),
    ]
    let join = try Group.joinExternally(
      groupInfo: try alice.group.groupInfo(), identity: Client.identity("outsider"),
      capabilities: Capabilities(extensions: [0xff01]))
    let groupInfo = commit.groupInfo
    return [
      application, commit.message, try commit.requireWelcome(), try #require(groupInfo), proposal, join.message,
      invitee.keyPackage.message, try alice.forgePublic(.proposal(.selfRemove)),
      try alice.forgePublic(.commit(Commit(proposals: own.map { .proposal($0) }, path: nil))),
    ]
  }

  /// A decoder never crashes, and what it accepts it writes again as it was.
  private func decode<Value: WireCodable>(_ type: Value.Type, _ bytes: [UInt8]) {
    guard let value = try? Value(decoding: bytes) else { return }
    #expect(value.encoded == bytes, "\(type) has two encodings")
  }

  private func decodeAll(_ bytes: [UInt8]) {
    decode(MLSMessage.self, bytes)
    decode(KeyPackage.self, bytes)
    decode(LeafNode.self, bytes)
    decode(Proposal.self, bytes)
    decode(Commit.self, bytes)
    decode(GroupContext.self, bytes)
    decode(GroupInfo.self, bytes)
    decode(Welcome.self, bytes)
    decode(AuthenticatedContent.self, bytes)
    decode(RequiredCapabilities.self, bytes)
    decode(CommitEffects.self, bytes)
    decode(Credential.self, bytes)
    decode(AppDataDictionary.self, bytes)
    decode(ComponentsList.self, bytes)
    _ = try? RatchetTree.Nodes(decoding: bytes)
    _ = try? MessageHeader(of: bytes)
    let secret = Secret(copying: bytes)
    _ = try? PendingCommit(restoring: secret)
    _ = try? KeyPackageBundle(restoring: secret)
    _ = try? ClientIdentity(restoring: secret)
    _ = try? secret.decode { (reader) throws(WireError) in try ExporterTree(from: &reader) }
    _ = try? secret.decode { (reader) throws(WireError) in try GroupSecrets(from: &reader) }
    _ = try? secret.decode { (reader) throws(WireError) in try SecretTree(from: &reader) }
  }

  @Test func decodersWithstandAnything() throws {
    let members = try Members(3)
    var random = generator("decodersWithstandAnything")
    for sample in try samples(members) {
      for length in 0..<min(sample.count, 400) { decodeAll(Array(sample.prefix(length))) }
      for _ in 0..<300 { decodeAll(mutate(sample, &random)) }
      // Without the outer header, so that the inner decoders see what is theirs.
      let body = Array(sample.dropFirst(4))
      for _ in 0..<300 { decodeAll(mutate(body, &random)) }
    }
    for _ in 0..<2000 {
      decodeAll((0..<Int.random(in: 0..<64, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) })
    }
  }

  @Test func liveGroupWithstandsAnything() throws {
    let members = try Members(3)
    members[1].group.policy.acceptsPublicHandshakes = true
    var random = generator("liveGroupWithstandsAnything")
    let honest = try members[0].say("honest")
    for sample in try samples(members) {
      for length in 0..<min(sample.count, 300) {
        #expect(throws: MLSError.self) { _ = try members[1].group.receive(Array(sample.prefix(length))) }
      }
      for _ in 0..<300 {
        let bytes = mutate(sample, &random)
        guard bytes != sample else { continue }
        // A received commit is not merged; only a message that was not damaged where it matters can be read.
        do {
          _ = try members[1].group.receive(bytes)
          Issue.record("a damaged message was accepted")
        } catch { #expect(error.family == .rejected, "\(error)") }
      }
    }
    #expect(try members[1].hear(honest) == "honest")
    var all = members
    try all.commit(by: 2)
    try all.expectAgreement()
  }

  @Test func joinWithstandsAnything() throws {
    let members = try Members(3)
    let invitee = try Invitee("late")
    let pending = try members[0].commit([.add(invitee.keyPackage)])
    let welcome = try pending.requireWelcome()
    let info = try members[0].group.groupInfo()
    var random = generator("joinWithstandsAnything")
    for _ in 0..<400 {
      for (sample, isWelcome) in [(welcome, true), (info, false)] {
        let bytes = mutate(sample, &random)
        guard bytes != sample else { continue }
        do {
          if isWelcome {
            _ = try Group.join(welcome: bytes, keyPackage: invitee.bundle, identity: invitee.identity)
          } else {
            _ = try Group.joinExternally(groupInfo: bytes, identity: invitee.identity)
          }
          Issue.record("a damaged \(isWelcome ? "welcome" : "group info") was accepted")
        } catch { #expect(error.family != .fault, "\(error)") }
      }
    }
    _ = try invitee.join(welcome)
  }

  @Test func sealedContentOfAMemberWithstandsAnything() throws {
    // A malicious member signs and seals whatever it likes: the inner decoders meet it only after decryption.
    let members = try Members(4)
    var random = generator("sealedContentOfAMemberWithstandsAnything")
    let attacker = members[0]
    let path = try attacker.path().path
    let invitee = try Invitee("late")
    let commits = [
      Commit(proposals: [], path: path).encoded,
      Commit(
        proposals: [.proposal(.add(invitee.keyPackage)), .proposal(.remove(LeafIndex(2)))], path: path
      ).encoded,
    ]
    var decoded = 0
    for _ in 0..<3000 {
      let sample = mutate(commits[Int.random(in: 0..<2, using: &random)], &random)
      guard let commit = try? Commit(decoding: sample) else { continue }
      decoded += 1
      let message = try attacker.forge(.commit(commit))
      #expect(throws: MLSError.self) { _ = try members[1].group.receive(message) }
    }
    print("mutated commits that decoded: \(decoded)")
    #expect(decoded > 100)
    let honest = try members[3].say("still here")
    #expect(try members[1].hear(honest) == "still here")
  }

  @Test func memoryIsBoundedByTheInput() throws {
    // Lengths that promise far more than there is.
    for prefix in [[0, 1, 0, 2], [0, 1, 0, 1], [0, 1, 0, 3], [0, 1, 0, 4], [0, 1, 0, 5]] as [[UInt8]] {
      for promise in [[0xbf, 0xff, 0xff, 0xff], [0x7f, 0xff], [0xc0, 0, 0, 0]] as [[UInt8]] {
        #expect(throws: MLSError(.malformed)) { try MessageHeader(of: prefix + promise + [1, 2, 3]) }
      }
    }
  }
}
