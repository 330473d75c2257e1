import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

@Suite struct ScheduleVectorTests {
  @Test func cryptoBasics() throws {
    try VectorFile.each("crypto-basics") { vector in
      let suite = try vector.suite()
      let ref = vector["ref_hash"]
      #expect(suite.refHash(ref["label"].string, ref["value"].hex) == ref["out"].hex)

      let expand = vector["expand_with_label"]
      expectEqual(
        try suite.expandWithLabel(
          expand["secret"].secret, label: Array(expand["label"].string.utf8), context: expand["context"].hex,
          length: expand["length"].int), expand["out"].hex, "ExpandWithLabel")
      let derive = vector["derive_secret"]
      expectEqual(
        try suite.expandWithLabel(
          derive["secret"].secret, label: Array(derive["label"].string.utf8), context: [], length: suite.hashSize),
        derive["out"].hex, "DeriveSecret")
      let tree = vector["derive_tree_secret"]
      expectEqual(
        try suite.expandWithLabel(
          tree["secret"].secret, label: Array(tree["label"].string.utf8),
          context: UInt32(tree["generation"].int).encoded, length: tree["length"].int), tree["out"].hex,
        "DeriveTreeSecret")

      // The labels of the functions are static text; the vectors all use these two.
      let sign = vector["sign_with_label"]
      try #require(sign["label"].string == "SignWithLabel")
      let key = try SigningKey(scheme: suite.signature, seed: sign["priv"].secret)
      #expect(key.publicKey == sign["pub"].hex)
      #expect(
        suite.isValid(signature: sign["signature"].hex, key: sign["pub"].hex, "SignWithLabel", sign["content"].hex))
      let signature = try suite.sign(key, "SignWithLabel", sign["content"].hex)
      #expect(suite.isValid(signature: signature, key: sign["pub"].hex, "SignWithLabel", sign["content"].hex))

      let encrypt = vector["encrypt_with_label"]
      try #require(encrypt["label"].string == "EncryptWithLabel")
      let receiverKey = try HPKEPrivateKey(kem: suite.kem, serialized: encrypt["priv"].secret)
      let sealed = HPKECiphertext(kemOutput: encrypt["kem_output"].hex, ciphertext: encrypt["ciphertext"].hex)
      expectEqual(
        try suite.open(sealed, with: receiverKey, "EncryptWithLabel", context: encrypt["context"].hex),
        encrypt["plaintext"].hex, "DecryptWithLabel")
      let again = try suite.seal(
        encrypt["plaintext"].secret, to: encrypt["pub"].hex, "EncryptWithLabel", context: encrypt["context"].hex)
      expectEqual(
        try suite.open(again, with: receiverKey, "EncryptWithLabel", context: encrypt["context"].hex),
        encrypt["plaintext"].hex, "EncryptWithLabel")
    }
  }

  @Test func keySchedule() throws {
    try VectorFile.each("key-schedule") { vector in
      let suite = try vector.suite()
      var initSecret = vector["initial_init_secret"].secret
      for (number, epoch) in vector["epochs"].list.enumerated() {
        let context = GroupContext(
          cipherSuite: suite.number, groupID: GroupID(vector["group_id"].hex), epoch: Epoch(UInt64(number)),
          treeHash: epoch["tree_hash"].hex, confirmedTranscriptHash: epoch["confirmed_transcript_hash"].hex,
          extensions: [])
        #expect(context.encoded == epoch["group_context"].hex)
        let joiner = try KeySchedule.joinerSecret(
          suite, initSecret: initSecret, commitSecret: epoch["commit_secret"].secret, context: context.encoded)
        expectEqual(joiner, epoch["joiner_secret"].hex, "joiner")
        let psk = epoch["psk_secret"].secret
        expectEqual(
          try KeySchedule.welcomeSecret(suite, joinerSecret: joiner, pskSecret: psk), epoch["welcome_secret"].hex,
          "welcome")
        let secrets = try KeySchedule.epochSecrets(
          suite, joinerSecret: joiner, pskSecret: psk, context: context.encoded)
        expectEqual(secrets.initSecret, epoch["init_secret"].hex, "init")
        expectEqual(secrets.senderData, epoch["sender_data_secret"].hex, "sender data")
        expectEqual(secrets.encryption, epoch["encryption_secret"].hex, "encryption")
        expectEqual(secrets.exporter, epoch["exporter_secret"].hex, "exporter")
        expectEqual(secrets.authenticator, epoch["epoch_authenticator"].hex, "authenticator")
        expectEqual(secrets.external, epoch["external_secret"].hex, "external")
        expectEqual(secrets.confirmation, epoch["confirmation_key"].hex, "confirmation")
        expectEqual(secrets.membership, epoch["membership_key"].hex, "membership")
        expectEqual(secrets.resumption, epoch["resumption_psk"].hex, "resumption")
        #expect(try secrets.kept.externalKeyPair(suite).publicKey == epoch["external_pub"].hex)
        let exporter = epoch["exporter"]
        expectEqual(
          try secrets.kept.export(
            suite, label: Array(exporter["label"].string.utf8), context: exporter["context"].hex,
            length: exporter["length"].int), exporter["secret"].hex, "exported")
        initSecret = secrets.initSecret
      }
    }
  }

  @Test func secretTree() throws {
    try VectorFile.each("secret-tree") { vector in
      let suite = try vector.suite()
      let sender = vector["sender_data"]
      let opening = try SenderData.key(
        suite, secret: sender["sender_data_secret"].secret, ciphertext: sender["ciphertext"].hex)
      expectEqual(opening.key, sender["key"].hex, "sender data key")
      #expect(opening.nonce == sender["nonce"].hex)

      let leaves = vector["leaves"].list
      var tree = SecretTree(leafCount: UInt32(leaves.count), encryptionSecret: vector["encryption_secret"].secret)
      for (place, generations) in leaves.enumerated() {
        for entry in generations.list {
          for (handshake, kind) in [(true, "handshake"), (false, "application")] {
            let (key, nonce) = try tree.withKey(
              suite, leaf: LeafIndex(UInt32(place)), handshake: handshake, generation: UInt32(entry["generation"].int),
              limits: RatchetLimits(skipped: 1000, forward: 1000)
            ) { (key) throws(MLSError) in key.expose() }
            expectEqual(key, entry["\(kind)_key"].hex, "key")
            expectEqual(nonce, entry["\(kind)_nonce"].hex, "nonce")
          }
        }
      }
    }
  }

  @Test func preSharedKeys() throws {
    try VectorFile.each("psk_secret") { vector in
      let psks = vector["psks"].list.map { entry in
        (
          id: PreSharedKeyID(source: .external(id: entry["psk_id"].hex), nonce: entry["psk_nonce"].hex),
          secret: entry["psk"].secret
        )
      }
      expectEqual(try PSKSecret.combine(try vector.suite(), psks), vector["psk_secret"].hex, "psk secret")
    }
  }

  @Test func transcriptHashes() throws {
    try VectorFile.each("transcript-hashes") { vector in
      let suite = try vector.suite()
      let message = try AuthenticatedContent(decoding: vector["authenticated_content"].hex)
      #expect(message.content.content.type == .commit)
      let confirmed = TranscriptHash.confirmed(
        suite, interim: vector["interim_transcript_hash_before"].hex, format: message.format,
        content: message.content, signature: message.auth.signature)
      #expect(confirmed == vector["confirmed_transcript_hash_after"].hex)
      let tag = try #require(message.auth.confirmationTag)
      #expect(suite.isValid(mac: tag, key: vector["confirmation_key"].secret, message: confirmed))
      #expect(
        TranscriptHash.interim(suite, confirmed: confirmed, confirmationTag: tag)
          == vector["interim_transcript_hash_after"].hex)
    }
  }
}
