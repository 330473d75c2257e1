#if DEBUG
import CryptoPrimitives
import WireCodec

@testable import E2ECrypto

/// The kinds that are about encodings and about how messages are protected.
enum MessageChecks {
  static func deserialization(_ vector: JSON) throws {
    var reader = Reader(try vector.hex("vlbytes_header"))
    let length = try reader.readLength()
    try require(try length == vector.int("length"), "length is another")
    try require(reader.isAtEnd, "vlbytes_header is longer than a length")
  }

  // MARK: Messages

  static func messages(_ vector: JSON) throws {
    func roundTrip<Value: WireCodable>(_ type: Value.Type, _ name: String, after prefix: [UInt8] = []) throws -> Value {
      let bytes = prefix + (try vector.hex(name))
      let value: Value
      do { value = try Value(decoding: bytes) } catch { throw Finding.failed("\(name): \(error)") }
      try require(value.encoded == bytes, "\(name) does not come out as it went in")
      return value
    }
    for (name, format) in [
      ("mls_welcome", WireFormat.welcome), ("mls_group_info", .groupInfo), ("mls_key_package", .keyPackage),
      ("public_message_application", .publicMessage), ("public_message_proposal", .publicMessage),
      ("public_message_commit", .publicMessage), ("private_message", .privateMessage),
    ] {
      try require(roundTrip(MLSMessage.self, name).format == format, "\(name) is of another format")
    }
    let nodes = try roundTrip(RatchetTree.Nodes.self, "ratchet_tree")
    try require(nodes.kindsFit && nodes.endsNonBlank, "ratchet_tree has not its form")
    let secrets = try vector.secret("group_secrets").decode { (reader) throws(WireError) in
      try GroupSecrets(from: &reader)
    }
    try vector.expect("group_secrets", secrets.encode())
    for (type, kind) in [
      "add", "update", "remove", "pre_shared_key", "re_init", "external_init", "group_context_extensions",
    ].enumerated() {
      // These hold the proposal's body, without its type.
      _ = try roundTrip(Proposal.self, "\(kind)_proposal", after: [0, UInt8(type) + 1])
    }
    _ = try roundTrip(Commit.self, "commit")
  }

  // MARK: Protection

  static func messageProtection(_ vector: JSON) throws {
    let suite = try vector.suite()
    let context = GroupContext(
      cipherSuite: suite.number, groupID: GroupID(try vector.hex("group_id")), epoch: Epoch(try vector.uint64("epoch")),
      treeHash: try vector.hex("tree_hash"), confirmedTranscriptHash: try vector.hex("confirmed_transcript_hash"),
      extensions: [])
    let session = ProtectionSession(
      suite: suite, context: context,
      key: try SigningKey(scheme: suite.signature, seed: vector.secret("signature_priv")),
      publicKey: try vector.hex("signature_pub"), encryption: try vector.secret("encryption_secret"),
      senderData: try vector.secret("sender_data_secret"), membership: try vector.secret("membership_key"))
    let proposal = Content.proposal(try Proposal(decoding: vector.hex("proposal")))
    let commit = Content.commit(try Commit(decoding: vector.hex("commit")))
    let application = Content.application(try vector.hex("application"))
    for (name, content) in [("proposal", proposal), ("commit", commit), ("application", application)] {
      try require(
        try session.openPrivate(vector.hex("\(name)_priv")) == content, "\(name)_priv holds something else")
      try require(
        try session.openPrivate(session.sealPrivate(content)) == content,
        "our own PrivateMessage of \(name) holds something else")
      if content == application {
        try require((try? session.sealPublic(content)) == nil, "application data was protected as a PublicMessage")
        continue
      }
      try require(try session.openPublic(vector.hex("\(name)_pub")) == content, "\(name)_pub holds something else")
      try require(
        try session.openPublic(session.sealPublic(content)) == content,
        "our own PublicMessage of \(name) holds something else")
    }
  }

  // MARK: Welcome

  static func welcome(_ vector: JSON) throws {
    let suite = try vector.suite()
    let keyPackage = try KeyPackage(message: vector.hex("key_package"))
    guard case .welcome(let welcome) = try MLSMessage(decoding: vector.hex("welcome")) else {
      throw Finding.failed("welcome is not a Welcome")
    }
    // The vector has no leaf key, which is not needed here.
    let bundle = KeyPackageBundle(
      keyPackage: keyPackage, initKey: try HPKEPrivateKey(kem: suite.kem, serialized: vector.secret("init_priv")),
      leafKey: HPKEPrivateKey.generate(suite.kem))
    let secrets = try welcome.openSecrets(suite, bundle)
    let psk = try PSKSecret.combine(suite, [])
    let info = try welcome.openGroupInfo(suite, joinerSecret: secrets.joinerSecret, pskSecret: psk)
      .verified(suite, key: vector.hex("signer_pub"))
    let epoch = try KeySchedule.epochSecrets(
      suite, joinerSecret: secrets.joinerSecret, pskSecret: psk, context: info.context.encoded)
    try require(
      suite.isValid(
        mac: info.confirmationTag, key: epoch.confirmation, message: info.context.confirmedTranscriptHash),
      "the confirmation tag is wrong")
  }
}

/// The keys of one epoch, with member 1 of 2 as the sender.
private struct ProtectionSession {
  let suite: Suite
  let context: GroupContext
  let key: SigningKey
  let publicKey: [UInt8]
  let encryption: Secret
  let senderData: Secret
  let membership: Secret
  let leaf = LeafIndex(1)

  func openPublic(_ bytes: [UInt8]) throws -> Content {
    guard case .publicMessage(let message) = try MLSMessage(decoding: bytes) else { throw MLSError(.unsupported) }
    return try message.unprotect(suite, membershipKey: membership, context: context.encoded)
      .verified(suite, key: publicKey, context: context.encoded).content.content
  }

  func openPrivate(_ bytes: [UInt8]) throws -> Content {
    guard case .privateMessage(let message) = try MLSMessage(decoding: bytes) else { throw MLSError(.unsupported) }
    let sender = try message.openSenderData(suite, secret: senderData)
    try require(sender.leaf == leaf, "the sender is another")
    var tree = SecretTree(leafCount: 2, encryptionSecret: encryption)
    return try tree.withKey(
      suite, leaf: sender.leaf, handshake: message.contentType != .application, generation: sender.generation,
      limits: RatchetLimits(skipped: 1000, forward: 1000)
    ) { (key) throws(MLSError) in try message.open(suite, key: key, sender: sender) }
    .verified(suite, key: publicKey, context: context.encoded).content.content
  }

  private func signed(_ content: Content, as format: WireFormat) throws -> AuthenticatedContent {
    let framed = FramedContent(
      groupID: context.groupID, epoch: context.epoch, sender: .member(leaf), authenticatedData: [1, 2],
      content: content)
    var signed = try AuthenticatedContent(signing: framed, as: format, suite, key: key, context: context.encoded)
    if content.type == .commit { signed.auth.confirmationTag = [UInt8](repeating: 7, count: suite.hashSize) }
    return signed
  }

  func sealPublic(_ content: Content) throws -> [UInt8] {
    MLSMessage.publicMessage(
      try PublicMessage(
        protecting: signed(content, as: .publicMessage), suite, membershipKey: membership, context: context.encoded)
    ).encoded
  }

  func sealPrivate(_ content: Content) throws -> [UInt8] {
    var tree = SecretTree(leafCount: 2, encryptionSecret: encryption)
    let key = try tree.nextKey(suite, leaf: leaf, handshake: content.type != .application)
    return MLSMessage.privateMessage(
      try PrivateMessage(
        protecting: signed(content, as: .privateMessage), suite, key: key, senderDataSecret: senderData, paddedTo: 300
      )
    ).encoded
  }
}
#endif
