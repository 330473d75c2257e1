#if DEBUG
import CryptoPrimitives
import WireCodec

@testable import E2ECrypto

/// The kinds that are about derivations and the key schedule.
enum ScheduleChecks {
  static func cryptoBasics(_ vector: JSON) throws {
    let suite = try vector.suite()
    let ref = try vector.field("ref_hash")
    try ref.expect("out", suite.refHash(ref.string("label"), ref.hex("value")))

    let expand = try vector.field("expand_with_label")
    try expand.expect(
      "out",
      suite.expander(expand.secret("secret")).expand(
        label: expand.string("label").utf8, context: expand.hex("context"), length: expand.int("length")))
    let derive = try vector.field("derive_secret")
    try derive.expect(
      "out",
      suite.expander(derive.secret("secret")).expand(
        label: derive.string("label").utf8, context: [], length: suite.hashSize))
    let tree = try vector.field("derive_tree_secret")
    try tree.expect(
      "out",
      suite.expander(tree.secret("secret")).expand(
        label: tree.string("label").utf8, context: tree.uint32("generation").encoded, length: tree.int("length")))

    // The labels of these functions are static text; the vectors all use the functions' names.
    let sign = try vector.field("sign_with_label")
    let label: StaticString = "SignWithLabel"
    try require(try sign.string("label") == "SignWithLabel", "sign_with_label.label is one that is not known here")
    let key = try SigningKey(scheme: suite.signature, seed: sign.secret("priv"))
    let (publicKey, content) = (try sign.hex("pub"), try sign.hex("content"))
    try sign.expect("pub", key.publicKey)
    try require(
      suite.isValid(signature: try sign.hex("signature"), key: publicKey, label) { $0.writeBytes(content) },
      "sign_with_label.signature does not verify")
    let signature = try suite.sign(key, label) { $0.writeBytes(content) }
    try require(
      suite.isValid(signature: signature, key: publicKey, label) { $0.writeBytes(content) },
      "our own signature does not verify")

    let encrypt = try vector.field("encrypt_with_label")
    try require(
      try encrypt.string("label") == "EncryptWithLabel", "encrypt_with_label.label is one that is not known here")
    let receiver = try HPKEPrivateKey(kem: suite.kem, serialized: encrypt.secret("priv"))
    try encrypt.expect("pub", receiver.publicKey)
    let sealed = HPKECiphertext(kemOutput: try encrypt.hex("kem_output"), ciphertext: try encrypt.hex("ciphertext"))
    let context = try encrypt.hex("context")
    try encrypt.expect("plaintext", suite.open(sealed, with: receiver, "EncryptWithLabel", context: context))
    let again = try suite.seal(
      encrypt.secret("plaintext"), to: encrypt.hex("pub"), "EncryptWithLabel", context: context)
    try encrypt.expect("plaintext", suite.open(again, with: receiver, "EncryptWithLabel", context: context))
  }

  static func keySchedule(_ vector: JSON) throws {
    let suite = try vector.suite()
    var initSecret = try vector.secret("initial_init_secret")
    for (number, epoch) in try vector.list("epochs").enumerated() {
      let context = GroupContext(
        cipherSuite: suite.number, groupID: GroupID(try vector.hex("group_id")), epoch: Epoch(UInt64(number)),
        treeHash: try epoch.hex("tree_hash"), confirmedTranscriptHash: try epoch.hex("confirmed_transcript_hash"),
        extensions: [])
      try epoch.expect("group_context", context.encoded)
      let joiner = try KeySchedule.joinerSecret(
        suite, initSecret: initSecret, commitSecret: epoch.secret("commit_secret"), context: context.encoded)
      try epoch.expect("joiner_secret", joiner)
      let psk = try epoch.optional("psk_secret").map { Secret(copying: try $0.hex) } ?? suite.zeroSecret
      try epoch.expect("welcome_secret", KeySchedule.welcomeSecret(suite, joinerSecret: joiner, pskSecret: psk))
      let secrets = try KeySchedule.epochSecrets(
        suite, joinerSecret: joiner, pskSecret: psk, context: context.encoded)
      try epoch.expect("init_secret", secrets.initSecret)
      try epoch.expect("sender_data_secret", secrets.senderData)
      try epoch.expect("encryption_secret", secrets.encryption)
      try epoch.expect("exporter_secret", secrets.exporter)
      try epoch.expect("epoch_authenticator", secrets.authenticator)
      try epoch.expect("external_secret", secrets.external)
      try epoch.expect("confirmation_key", secrets.confirmation)
      try epoch.expect("membership_key", secrets.membership)
      try epoch.expect("resumption_psk", secrets.resumption)
      try epoch.expect("external_pub", secrets.kept.externalKeyPair(suite).publicKey)
      let exporter = try epoch.field("exporter")
      try exporter.expect(
        "secret",
        secrets.kept.export(
          suite, label: Array(exporter.string("label").utf8), context: exporter.hex("context"),
          length: exporter.int("length")))
      initSecret = secrets.initSecret
    }
  }

  static func secretTree(_ vector: JSON) throws {
    let suite = try vector.suite()
    let sender = try vector.field("sender_data")
    let opening = try SenderData.key(
      suite, secret: sender.secret("sender_data_secret"), ciphertext: sender.hex("ciphertext"))
    try sender.expect("key", opening.key)
    try sender.expect("nonce", opening.nonce)

    let leaves = try vector.list("leaves")
    try require((1...Bounds.leaves).contains(leaves.count), "there are too few or too many leaves")
    var tree = SecretTree(leafCount: UInt32(leaves.count), encryptionSecret: try vector.secret("encryption_secret"))
    for (place, generations) in leaves.enumerated() {
      for entry in try generations.list {
        let generation = try entry.uint32("generation")
        for (handshake, kind) in [(true, "handshake"), (false, "application")] {
          let (key, nonce) = try tree.withKey(
            suite, leaf: LeafIndex(UInt32(place)), handshake: handshake, generation: generation,
            limits: RatchetLimits(skipped: 1 << 16, forward: 1 << 16)
          ) { (key) throws(MLSError) in key.expose() }
          try entry.expect("\(kind)_key", key)
          try entry.expect("\(kind)_nonce", nonce)
        }
      }
    }
  }

  static func preSharedKeys(_ vector: JSON) throws {
    let suite = try vector.suite()
    let psks = try vector.list("psks").map { entry in
      (
        id: PreSharedKeyID(source: .external(id: try entry.hex("psk_id")), nonce: try entry.hex("psk_nonce")),
        secret: try entry.secret("psk")
      )
    }
    try vector.expect("psk_secret", PSKSecret.combine(suite, psks))
  }

  static func transcriptHashes(_ vector: JSON) throws {
    let suite = try vector.suite()
    let message = try AuthenticatedContent(decoding: vector.hex("authenticated_content"))
    guard message.content.content.type == .commit, let tag = message.auth.confirmationTag else {
      throw Finding.failed("authenticated_content is not a commit")
    }
    let confirmed = TranscriptHash.confirmed(
      suite, interim: try vector.hex("interim_transcript_hash_before"), format: message.format,
      content: message.content, signature: message.auth.signature)
    try vector.expect("confirmed_transcript_hash_after", confirmed)
    try require(
      suite.isValid(mac: tag, key: try vector.secret("confirmation_key"), message: confirmed),
      "the confirmation tag is wrong")
    try vector.expect(
      "interim_transcript_hash_after", TranscriptHash.interim(suite, confirmed: confirmed, confirmationTag: tag))
  }
}
#endif
