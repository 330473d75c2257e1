#if DEBUG
/// A format of test vectors: how its cases are told from others, and what is checked of each.
struct VectorKind: Sendable {
  /// The name of the format's file, without its ending.
  let name: String
  /// The fields that each case has. No two kinds have the same.
  let fields: Set<String>
  let check: @Sendable (JSON) throws -> Void

  private init(_ name: String, _ fields: [String], _ check: @escaping @Sendable (JSON) throws -> Void) {
    self.name = name
    self.fields = Set(fields)
    self.check = check
  }

  /// All kinds: those of the MLS working group, then those of the primitives underneath.
  static let all = [
    VectorKind("deserialization", ["vlbytes_header", "length"], MessageChecks.deserialization),
    VectorKind(
      "tree-math", ["n_leaves", "n_nodes", "root", "left", "right", "parent", "sibling"], TreeChecks.treeMath),
    VectorKind(
      "crypto-basics",
      [
        "cipher_suite", "ref_hash", "expand_with_label", "derive_secret", "derive_tree_secret", "sign_with_label",
        "encrypt_with_label",
      ], ScheduleChecks.cryptoBasics),
    VectorKind(
      "secret-tree", ["cipher_suite", "sender_data", "encryption_secret", "leaves"], ScheduleChecks.secretTree),
    VectorKind(
      "message-protection",
      [
        "cipher_suite", "group_id", "epoch", "tree_hash", "confirmed_transcript_hash", "signature_priv",
        "signature_pub", "encryption_secret", "sender_data_secret", "membership_key", "proposal", "proposal_pub",
        "proposal_priv", "commit", "commit_pub", "commit_priv", "application", "application_priv",
      ], MessageChecks.messageProtection),
    VectorKind(
      "key-schedule", ["cipher_suite", "group_id", "initial_init_secret", "epochs"], ScheduleChecks.keySchedule),
    VectorKind("psk_secret", ["cipher_suite", "psks", "psk_secret"], ScheduleChecks.preSharedKeys),
    VectorKind(
      "transcript-hashes",
      [
        "cipher_suite", "confirmation_key", "authenticated_content", "interim_transcript_hash_before",
        "confirmed_transcript_hash_after", "interim_transcript_hash_after",
      ], ScheduleChecks.transcriptHashes),
    VectorKind(
      "welcome", ["cipher_suite", "init_priv", "signer_pub", "key_package", "welcome"], MessageChecks.welcome),
    VectorKind(
      "tree-operations",
      [
        "cipher_suite", "tree_before", "proposal", "proposal_sender", "tree_hash_before", "tree_after",
        "tree_hash_after",
      ], TreeChecks.treeOperations),
    VectorKind(
      "tree-validation", ["cipher_suite", "tree", "group_id", "resolutions", "tree_hashes"],
      TreeChecks.treeValidation),
    VectorKind(
      "treekem",
      [
        "cipher_suite", "group_id", "epoch", "confirmed_transcript_hash", "ratchet_tree", "leaves_private",
        "update_paths",
      ], TreeChecks.treeKEM),
    VectorKind(
      "messages",
      [
        "mls_welcome", "mls_group_info", "mls_key_package", "ratchet_tree", "group_secrets", "add_proposal",
        "update_proposal", "remove_proposal", "pre_shared_key_proposal", "re_init_proposal",
        "external_init_proposal", "group_context_extensions_proposal", "commit", "public_message_application",
        "public_message_proposal", "public_message_commit", "private_message",
      ], MessageChecks.messages),
    VectorKind(
      "passive-client",
      [
        "cipher_suite", "external_psks", "key_package", "signature_priv", "encryption_priv", "init_priv", "welcome",
        "ratchet_tree", "initial_epoch_authenticator", "epochs",
      ], PassiveClientCheck.follow),

    VectorKind(
      "hpke",
      [
        "mode", "kem_id", "kdf_id", "aead_id", "info", "skRm", "pkRm", "enc", "shared_secret", "encryptions", "exports",
      ], PrimitiveChecks.hpke),
    VectorKind("x25519", ["public", "private", "shared", "result"], PrimitiveChecks.agreement),
    VectorKind("ed25519", ["msg", "sig", "result", "group"], PrimitiveChecks.signature),
    VectorKind("xwing", ["seed", "eseed", "sk", "pk", "ct", "ss"]) { _ in
      throw Finding.skipped("X-Wing is not offered")
    },
  ]

  /// The kind of a case, by its fields.
  static func of(_ vector: JSON) -> VectorKind? {
    let fields = vector.fields
    return all.filter { $0.fields.isSubset(of: fields) }.max { $0.fields.count < $1.fields.count }
  }

  /// The kind that a file's name speaks of.
  static func named(_ file: String) -> VectorKind? {
    let name = file.split(separator: "/").last.map(String.init) ?? file
    let plain = plain(name)
    let fits = all.filter { plain.contains(Self.plain($0.name)) }
    return fits.max { $0.name.count < $1.name.count }
  }

  private static func plain(_ name: String) -> String {
    name.lowercased().filter { $0.isLetter || $0.isNumber }
  }
}
#endif
