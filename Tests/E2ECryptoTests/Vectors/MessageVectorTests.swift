import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

@Suite struct MessageVectorTests {
  @Test func deserialization() throws {
    try VectorFile.each("deserialization", bySuite: false) { vector in
      var reader = Reader(vector["vlbytes_header"].hex)
      let length = try reader.readLength()
      #expect(length == vector["length"].int)
      #expect(reader.isAtEnd)
    }
  }

  @Test func messages() throws {
    func roundTrip<Value: WireCodable>(_ type: Value.Type, _ bytes: [UInt8]) throws {
      #expect(try Value(decoding: bytes).encoded == bytes)
    }
    try VectorFile.each("messages", bySuite: false) { vector in
      for key in [
        "mls_welcome", "mls_group_info", "mls_key_package", "public_message_application", "public_message_proposal",
        "public_message_commit", "private_message",
      ] {
        try roundTrip(MLSMessage.self, vector[key].hex)
      }
      let nodes = try RatchetTree.Nodes(decoding: vector["ratchet_tree"].hex)
      #expect(nodes.encoded == vector["ratchet_tree"].hex)
      #expect(nodes.kindsFit && nodes.endsNonBlank)
      let secrets = try vector["group_secrets"].secret.decode { (reader) throws(WireError) in
        try GroupSecrets(from: &reader)
      }
      #expect(secrets.encode().exposed == vector["group_secrets"].hex)
      for kind in [
        "add", "update", "remove", "pre_shared_key", "re_init", "external_init", "group_context_extensions",
      ] {
        // These hold the proposal's body, without its type.
        let body = vector["\(kind)_proposal"].hex
        let number = try #require(Self.types[kind])
        try roundTrip(Proposal.self, [0, number] + body)
      }
      try roundTrip(Commit.self, vector["commit"].hex)
    }
  }

  private static let types: [String: UInt8] = [
    "add": 1, "update": 2, "remove": 3, "pre_shared_key": 4, "re_init": 5, "external_init": 6,
    "group_context_extensions": 7,
  ]

  @Test func messageProtection() throws {
    try VectorFile.each("message-protection") { vector in
      let suite = try vector.suite()
      let context = GroupContext(
        cipherSuite: suite.number, groupID: GroupID(vector["group_id"].hex), epoch: Epoch(vector["epoch"].uint64),
        treeHash: vector["tree_hash"].hex, confirmedTranscriptHash: vector["confirmed_transcript_hash"].hex,
        extensions: [])
      let session = Session(
        suite: suite, context: context,
        key: try SigningKey(scheme: suite.signature, seed: vector["signature_priv"].secret),
        publicKey: vector["signature_pub"].hex, encryption: vector["encryption_secret"].secret,
        senderData: vector["sender_data_secret"].secret, membership: vector["membership_key"].secret)
      let proposal = Content.proposal(try Proposal(decoding: vector["proposal"].hex))
      let commit = Content.commit(try Commit(decoding: vector["commit"].hex))
      let application = Content.application(vector["application"].hex)
      #expect(try session.openPublic(vector["proposal_pub"].hex) == proposal)
      #expect(try session.openPublic(vector["commit_pub"].hex) == commit)
      #expect(try session.openPrivate(vector["proposal_priv"].hex) == proposal)
      #expect(try session.openPrivate(vector["commit_priv"].hex) == commit)
      #expect(try session.openPrivate(vector["application_priv"].hex) == application)
      for content in [proposal, commit, application] {
        #expect(try session.openPrivate(try session.sealPrivate(content)) == content)
        if content == application {
          #expect(throws: MLSError.rejected(.applicationIsPrivate)) { try session.sealPublic(content) }
        } else {
          #expect(try session.openPublic(try session.sealPublic(content)) == content)
        }
      }
    }
  }

  /// The keys of one epoch, with member 1 of 2 as the sender.
  private struct Session {
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
      #expect(sender.leaf == leaf)
      var tree = SecretTree(leafCount: 2, encryptionSecret: encryption)
      return try tree.withKey(
        suite, leaf: sender.leaf, handshake: message.contentType != .application, generation: sender.generation,
        limits: RatchetLimits(skipped: 10, forward: 10)
      ) { (key) throws(MLSError) in try message.open(suite, key: key, sender: sender) }
      .verified(suite, key: publicKey, context: context.encoded).content.content
    }

    private func signed(_ content: Content, as format: WireFormat) throws -> AuthenticatedContent {
      let framed = FramedContent(
        groupID: context.groupID, epoch: context.epoch, sender: .member(leaf), authenticatedData: [1, 2],
        content: content)
      var signed = try AuthenticatedContent(
        signing: framed, as: format, suite, key: key, context: context.encoded)
      if content.type == .commit { signed.auth.confirmationTag = [UInt8](repeating: 7, count: 32) }
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

  @Test func welcome() throws {
    try VectorFile.each("welcome") { vector in
      let suite = try vector.suite()
      let keyPackage = try KeyPackage(message: vector["key_package"].hex)
      guard case .welcome(let welcome) = try MLSMessage(decoding: vector["welcome"].hex) else {
        throw MLSError(.unsupported)
      }
      // The vector has no leaf key, which is not needed here.
      let bundle = KeyPackageBundle(
        keyPackage: keyPackage, initKey: try HPKEPrivateKey(kem: suite.kem, serialized: vector["init_priv"].secret),
        leafKey: HPKEPrivateKey.generate(suite.kem))
      let secrets = try welcome.openSecrets(suite, bundle)
      let psk = try PSKSecret.combine(suite, [])
      let info = try welcome.openGroupInfo(suite, joinerSecret: secrets.joinerSecret, pskSecret: psk)
        .verified(suite, key: vector["signer_pub"].hex)
      let epoch = try KeySchedule.epochSecrets(
        suite, joinerSecret: secrets.joinerSecret, pskSecret: psk, context: info.context.encoded)
      #expect(
        suite.isValid(
          mac: info.confirmationTag, key: epoch.confirmation, message: info.context.confirmedTranscriptHash))
    }
  }
}
