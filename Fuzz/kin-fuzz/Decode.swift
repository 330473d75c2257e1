import CryptoPrimitives
import WireCodec

@testable import E2ECrypto

extension Target {
  /// Every decoder of E2ECrypto; the first byte chooses. What decodes encodes to the same bytes again.
  static let decode = Target(
    name: "decode",
    run: { input in
      guard let first = input.first else { return }
      FixedRandom.restart()
      let decoder = Decoder.all[Int(first) % Decoder.all.count]
      decoder.run(Array(input.dropFirst()))
    },
    seeds: decodeSeeds)
}

/// A decoder with what must hold of its results. New ones go to the end, so that old inputs keep their meaning.
struct Decoder: Sendable {
  let name: String
  let run: @Sendable ([UInt8]) -> Void

  static let all: [Decoder] = [
    wire(MLSMessage.self), wire(KeyPackage.self), wire(GroupInfo.self), wire(Welcome.self), wire(LeafNode.self),
    wire(Proposal.self), wire(Commit.self), wire(ParentNode.self), wire(GroupContext.self),
    wire(FramedContent.self), wire(AuthenticatedContent.self), wire(PublicMessage.self), wire(PrivateMessage.self),
    wire(PreSharedKeyID.self), wire(Extension.self), wire(RequiredCapabilities.self), wire(ExternalSender.self),
    wire(ExternalPub.self), wire(SenderData.self), wire(CommitEffects.self), wire(Credential.self),
    Decoder(name: "tree", run: readTree), Decoder(name: "header", run: readHeader),
    Decoder(name: "bundle", run: readBundle), Decoder(name: "pending", run: readPending),
    Decoder(name: "state", run: readState), Decoder(name: "secrets", run: readSecrets),
    wire(AppDataDictionary.self), wire(ComponentsList.self), wire(AppDataUpdate.self), wire(AppEphemeral.self),
    wire(PastEpoch.Sender.self),
  ]

  static func number(_ name: String) -> UInt8 {
    guard let place = all.firstIndex(where: { $0.name == name }) else { found("there is no decoder \(name)") }
    return UInt8(place)
  }

  private static func wire<Value: WireCodable>(_ type: Value.Type) -> Decoder {
    Decoder(name: "\(type)") { bytes in
      guard let value = try? Value(decoding: bytes) else { return }
      require(value.encoded == bytes, "\(type) has two encodings")
    }
  }

  /// A tree is also held against a context that has its hash, so that the rules behind the hash are reached.
  private static func readTree(_ bytes: [UInt8]) {
    guard let nodes = try? RatchetTree.Nodes(decoding: bytes) else { return }
    if nodes.kindsFit, nodes.endsNonBlank { require(nodes.encoded == bytes, "a tree has two encodings") }
    guard let suite = try? CipherSuite.algorithms(of: 3), var tree = try? RatchetTree(decoding: bytes, suite: suite)
    else { return }
    require(tree.encoded == bytes, "a checked tree has two encodings")
    guard let hash = try? tree.rootHash() else { return }
    let context = GroupContext(
      cipherSuite: 3, groupID: GroupID(Array("group of the fuzzer".utf8)), epoch: Epoch(1), treeHash: hash,
      confirmedTranscriptHash: [], extensions: [])
    try? tree.validate(context, maxLifetime: .max)
    // Each of the two passes by itself too: signatures stop most trees before the second.
    try? tree.verifyParentHashes()
  }

  private static func readHeader(_ bytes: [UInt8]) {
    _ = try? MessageHeader(of: bytes)
    if let keyPackage = try? KeyPackage(message: bytes) {
      require(keyPackage.message == bytes, "a key package message has two encodings")
      try? keyPackage.validate(now: today)
      _ = try? keyPackage.reference()
    }
  }

  private static func readBundle(_ bytes: [UInt8]) {
    guard let bundle = try? KeyPackageBundle(restoring: Secret(copying: bytes)) else { return }
    require(bundle.encodeState().exposed == bytes, "a key package bundle has two encodings")
  }

  private static func readPending(_ bytes: [UInt8]) {
    guard let pending = try? PendingCommit(restoring: Secret(copying: bytes)) else { return }
    let again = pending.encodeState()
    do {
      let second = try PendingCommit(restoring: again)
      require(second.encodeState() == again, "a pending commit changes from saving to saving")
    } catch { found("a pending commit that was saved cannot be read: \(error)") }
    _ = try? pending.export(label: "any", length: 16)
    _ = pending.ratchetTree
  }

  private static func readSecrets(_ bytes: [UInt8]) {
    let secret = Secret(copying: bytes)
    if let secrets = try? secret.decode({ (reader) throws(WireError) in try GroupSecrets(from: &reader) }) {
      require(secrets.encode().exposed == bytes, "group secrets have two encodings")
    }
  }

  /// A saved group: two parts, the first with its length before it. Whatever can be read can be used.
  private static func readState(_ bytes: [UInt8]) {
    guard bytes.count > 2 else { return }
    let length = min(Int(bytes[0]) << 8 | Int(bytes[1]), bytes.count - 2)
    let state = GroupState(
      epochPart: Secret(copying: Array(bytes[2..<2 + length])),
      messagePart: Secret(copying: Array(bytes[(2 + length)...])))
    let identity = fixedIdentity("member 1")
    do {
      var group = try Group(restoring: state, identity: identity)
      let again = group.encodeState()
      do {
        let second = try Group(restoring: again, identity: identity).encodeState()
        require(second.epochPart == again.epochPart, "the epoch's part changes from saving to saving")
        require(second.messagePart == again.messagePart, "the messages' part changes from saving to saving")
      } catch { found("a group that was saved cannot be read: \(error)") }
      _ = group.members
      _ = group.resumptionPSK
      _ = try? group.export(label: "any", length: 16)
      _ = try? group.groupInfo()
      _ = try? group.protect([1, 2, 3])
      _ = try? group.propose(.remove(LeafIndex(0)), now: today)
      if let pending = try? group.commit([], now: today) { try? group.merge(pending) }
    } catch {}
  }
}

/// One of each, from a group of three with a past, a proposal in wait and skipped keys.
private func decodeSeeds() throws -> [Target.Seed] {
  FixedRandom.restart()
  let fixture = try Fixture(3)
  let suite = fixture[0].group.state.suite
  var seeds: [Target.Seed] = []
  func add(_ decoder: String, _ bytes: [UInt8], _ name: String = "") {
    seeds.append(
      Target.Seed(name: name.isEmpty ? decoder : "\(decoder)-\(name)", bytes: [Decoder.number(decoder)] + bytes))
  }

  let outsider = try Outsider("outsider")
  let keyPackage = outsider.bundle.keyPackage
  add("KeyPackage", keyPackage.encoded)
  add("header", keyPackage.message)
  add("bundle", outsider.bundle.encodeState().exposed)
  add("LeafNode", keyPackage.leafNode.encoded)
  add("Credential", Credential.x509([[1, 2], [3]]).encoded, "x509")
  add("Credential", Credential.custom(type: 0xf001, data: [1, 2]).encoded, "custom")
  add("AppDataDictionary", AppDataDictionary([ComponentID(3): [1, 2], ComponentID(0x8000): []]).encoded)
  add("ComponentsList", ComponentsList([.appComponents, ComponentID(0x8000)]).encoded)

  let proposals: [(String, Proposal)] = [
    ("add", .add(keyPackage)), ("remove", .remove(LeafIndex(1))),
    ("psk", fixture[0].group.preSharedKeyProposal(externalID: [1, 2, 3])),
    ("resumption", fixture[0].group.resumptionProposal(epoch: Epoch(1))),
    ("reinit", .reInit(ReInit(groupID: GroupID([1]), cipherSuite: 3, extensions: []))),
    ("externalinit", .externalInit(kemOutput: [UInt8](repeating: 7, count: 32))),
    ("extensions", .groupContextExtensions([Extension(type: knownExtension, data: [1]), .lastResort])),
    ("custom", .custom(type: 0xf001, data: [1, 2, 3])), ("selfremove", .selfRemove),
    ("appdata", .appDataUpdate(AppDataUpdate(component: ComponentID(0x8000), operation: .update([1, 2])))),
    ("appdataremove", .appDataUpdate(AppDataUpdate(component: ComponentID(0x8000), operation: .remove))),
    ("ephemeral", .appEphemeral(AppEphemeral(component: ComponentID(0x8000), data: [1]))),
  ]
  for (name, proposal) in proposals { add("Proposal", proposal.encoded, name) }
  for (name, proposal) in proposals.prefix(4) {
    if case .preSharedKey(let id) = proposal { add("PreSharedKeyID", id.encoded, name) }
  }
  add("RequiredCapabilities", RequiredCapabilities(extensions: [knownExtension], credentials: [1]).encoded)
  let sender = ExternalSender(signatureKey: [UInt8](repeating: 1, count: 32), credential: .basic(identity: [1]))
  add("ExternalSender", sender.encoded)
  add("Extension", Extension.externalSenders([sender]).encoded)
  let change = AppDataUpdate(component: .firstPrivate, operation: .update([1, 2]))
  add("AppDataUpdate", change.encoded)
  add("AppEphemeral", AppEphemeral(component: .appAck, data: [3]).encoded)

  let update = try fixture[2].group.proposeUpdate()
  add("MLSMessage", update, "proposal")
  _ = try fixture[0].group.receive(update)
  _ = try fixture[1].group.receive(update)
  fixture[0].group.policy.commitsBeforeSending = false
  // Never delivered: its key stays with the receivers, as one that was skipped.
  _ = try fixture[0].group.protect([1, 2, 3], authenticatedData: [4])
  let late = try fixture[0].group.protect([4, 5, 6])
  add("MLSMessage", late, "application")
  _ = try fixture[1].group.receive(late)

  let commit = Commit(
    proposals: proposals.map { .proposal($0.1) } + [.reference(ProposalRef(bytes: [UInt8](repeating: 9, count: 32)))],
    path: nil)
  add("Commit", commit.encoded)
  let signed = try fixture[0].group.sign(.commit(commit), authenticatedData: [1, 2])
  var tagged = signed
  tagged.auth.confirmationTag = [UInt8](repeating: 5, count: 32)
  add("AuthenticatedContent", tagged.encoded)
  add("FramedContent", tagged.content.encoded)
  let context = fixture[0].group.groupContext
  add("GroupContext", context)
  let publicMessage = try PublicMessage(
    protecting: tagged, suite, membershipKey: fixture[0].group.state.secrets.membership, context: context)
  add("MLSMessage", MLSMessage.publicMessage(publicMessage).encoded, "public")
  add("PublicMessage", publicMessage.encoded)

  func state(_ box: Fixture.Box) -> [UInt8] {
    let state = box.group.encodeState()
    let first = state.epochPart.exposed
    return [UInt8(first.count >> 8), UInt8(first.count & 0xff)] + first + state.messagePart.exposed
  }
  add("state", state(fixture[1]), "waiting")

  var options = CommitOptions()
  options.makesGroupInfo = true
  let pending = try fixture[0].group.commit([.add(keyPackage)], options: options, now: today)
  add("pending", pending.encodeState().exposed)
  add("CommitEffects", pending.effects.encoded)
  add("MLSMessage", pending.message, "commit")
  add("tree", pending.ratchetTree)
  if let groupInfo = pending.groupInfo {
    add("header", groupInfo, "groupinfo")
    if case .groupInfo(let info) = try MLSMessage(decoding: groupInfo) { add("GroupInfo", info.encoded) }
  }
  if let welcome = pending.welcome {
    add("MLSMessage", welcome, "welcome")
    if case .welcome(let welcome) = try MLSMessage(decoding: welcome) {
      add("Welcome", welcome.encoded)
      add("secrets", try welcome.openSecrets(suite, outsider.bundle).encode().exposed)
    }
  }
  let message = pending.message
  try fixture[0].group.merge(pending)
  try fixture[1].follow(message)
  add("state", state(fixture[1]), "later")
  if let parent = fixture[0].group.state.tree.parents.compactMap({ $0 }).last { add("ParentNode", parent.encoded) }
  return seeds
}
