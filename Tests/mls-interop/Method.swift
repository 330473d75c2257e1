/// A call: its name, the fields of its request, and what it does.
struct Method: Sendable {
  let fields: Set<String>
  let run: @Sendable (Client, Params) throws -> [String: JSON]

  private init(_ fields: Set<String>, _ run: @escaping @Sendable (Client, Params) throws -> [String: JSON]) {
    self.fields = fields
    self.run = run
  }

  /// The calls of `mls_client.proto`, in its order, by their names in snake case.
  static let named: [String: Method] = [
    "name": Method([]) { _, _ in ["name": .text("Kin")] },
    "supported_ciphersuites": Method([]) { client, _ in client.supportedCiphersuites() },

    "create_group": Method(["group_id", "cipher_suite", "encrypt_handshake", "identity"]) { try $0.createGroup($1) },
    "create_key_package": Method(["cipher_suite", "identity"]) { try $0.createKeyPackage($1) },
    "join_group": Method(["transaction_id", "welcome", "encrypt_handshake", "identity", "ratchet_tree"]) {
      try $0.joinGroup($1)
    },
    "external_join": Method(
      ["group_info", "ratchet_tree", "encrypt_handshake", "identity", "remove_prior", "psks"]
    ) { try $0.externalJoin($1) },

    "group_info": Method(["state_id", "external_tree"]) { try $0.groupInfo($1) },
    "state_auth": Method(["state_id"]) { try $0.stateAuth($1) },
    "export": Method(["state_id", "label", "context", "key_length"]) { try $0.export($1) },
    "protect": Method(["state_id", "authenticated_data", "plaintext"]) { try $0.protect($1) },
    "unprotect": Method(["state_id", "ciphertext"]) { try $0.unprotect($1) },
    "store_psk": Method(["state_or_transaction_id", "psk_id", "psk_secret"]) { try $0.storePSK($1) },

    "add_proposal": Method(["state_id", "key_package"]) { try $0.addProposal($1) },
    "update_proposal": Method(["state_id"]) { try $0.updateProposal($1) },
    "remove_proposal": Method(["state_id", "removed_id"]) { try $0.removeProposal($1) },
    "external_psk_proposal": Method(["state_id", "psk_id"]) { try $0.externalPSKProposal($1) },
    "resumption_psk_proposal": Method(["state_id", "epoch_id"]) { try $0.resumptionPSKProposal($1) },
    "group_context_extensions_proposal": Method(["state_id", "extensions"]) {
      try $0.groupContextExtensionsProposal($1)
    },

    "commit": Method(commitFields) { try $0.commit($1) },
    "handle_commit": Method(["state_id", "proposal", "commit"]) { try $0.handleCommit($1) },
    "handle_pending_commit": Method(["state_id"]) { try $0.handlePendingCommit($1) },

    "re_init_proposal": Method(["state_id", "cipher_suite", "group_id", "extensions"]) { try $0.reInitProposal($1) },
    "re_init_commit": Method(commitFields) { try $0.reInitCommit($1) },
    "handle_pending_re_init_commit": Method(["state_id"]) { try $0.handlePendingReInitCommit($1) },
    "handle_re_init_commit": Method(["state_id", "proposal", "commit"]) { try $0.handleReInitCommit($1) },
    "re_init_welcome": Method(["reinit_id", "key_package", "force_path", "external_tree"]) { try $0.reInitWelcome($1) },
    "handle_re_init_welcome": Method(["reinit_id", "welcome", "ratchet_tree"]) { try $0.handleReInitWelcome($1) },

    "create_branch": Method(
      ["state_id", "group_id", "extensions", "key_packages", "force_path", "external_tree"]
    ) { try $0.createBranch($1) },
    "handle_branch": Method(["state_id", "transaction_id", "welcome", "ratchet_tree"]) { try $0.handleBranch($1) },

    "new_member_add_proposal": Method(["group_info", "identity"]) { try $0.newMemberAddProposal($1) },
    "create_external_signer": Method(["cipher_suite", "identity"]) { try $0.createExternalSigner($1) },
    "add_external_signer": Method(["state_id", "external_sender"]) { try $0.addExternalSigner($1) },
    "external_signer_proposal": Method(
      ["signer_id", "signer_index", "group_info", "ratchet_tree", "description"]
    ) { try $0.externalSignerProposal($1) },

    "free": Method(["state_id"]) { try $0.free($1) },
  ]

  private static let commitFields: Set<String> = [
    "state_id", "by_reference", "by_value", "force_path", "external_tree",
  ]
}
