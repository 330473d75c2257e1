import CryptoPrimitives
import E2ECrypto

/// Ways to become a member of a group.
extension Client {
  func supportedCiphersuites() -> [String: JSON] {
    ["ciphersuites": .list(CipherSuite.supported.map { .number(UInt32($0.rawValue)) })]
  }

  func createGroup(_ params: Params) throws -> [String: JSON] {
    let suite = try suite(params)
    let identity = try identity(try params.bytes("identity"), suite)
    let group = try Group.create(
      groupID: GroupID(try params.bytes("group_id")), suite: suite, identity: identity, capabilities: capabilities,
      lifetime: lifetime, policy: policy(encryptsHandshakes: try params.flag("encrypt_handshake")))
    return ["state_id": .number(try add(Membership(group, identity: identity)))]
  }

  func createKeyPackage(_ params: Params) throws -> [String: JSON] {
    let joining = try makeJoining(try params.bytes("identity"), try suite(params))
    var answer = joining.privateKeys
    answer["key_package"] = .bytes(joining.bundle.message)
    answer["transaction_id"] = .number(try add(joining))
    return answer
  }

  func joinGroup(_ params: Params) throws -> [String: JSON] {
    let joining = try joining(params)
    guard try params.bytes("identity") == joining.identity.credential.identity else {
      throw Failure(.invalidArgument, "the identity is not that of the key package")
    }
    let join = try Group.join(
      welcome: try params.bytes("welcome"), keyPackage: joining.bundle, identity: joining.identity,
      ratchetTree: try params.tree(), psks: joining.psks,
      policy: policy(encryptsHandshakes: try params.flag("encrypt_handshake")))
    let member = Membership(join.adopt(), identity: joining.identity)
    try spend(params)
    return ["state_id": .number(try add(member)), "epoch_authenticator": member.authenticator]
  }

  func externalJoin(_ params: Params) throws -> [String: JSON] {
    let (info, tree) = (try params.bytes("group_info"), try params.tree())
    let policy = policy(encryptsHandshakes: try params.flag("encrypt_handshake"))
    let seen = try PublicGroup(groupInfo: info, ratchetTree: tree, policy: policy)
    let identity = try identity(try params.bytes("identity"), seen.suite)
    let psks = try params.messages("psks", fields: ["psk_id", "psk_secret"]).map { psk in
      ExternalPSK(id: try psk.bytes("psk_id"), secret: Secret(copying: try psk.bytes("psk_secret")))
    }
    let join = try Group.joinExternally(
      groupInfo: info, identity: identity, capabilities: capabilities, ratchetTree: tree,
      removing: try params.flag("remove_prior") ? seen.members.leaf(identity.credential.identity ?? []) : nil,
      psks: psks, policy: policy)
    let message = join.message
    let member = Membership(join.adopt(), identity: identity)
    return [
      "state_id": .number(try add(member)), "commit": .bytes(message), "epoch_authenticator": member.authenticator,
    ]
  }
}

extension Client.Joining {
  /// The private halves, which the harness writes into its transcripts.
  var privateKeys: [String: JSON] {
    let keys = bundle.privateKeys
    return [
      "init_priv": .bytes(keys.initKey.withBytes { Array($0) }),
      "encryption_priv": .bytes(keys.leafKey.withBytes { Array($0) }),
      "signature_priv": .bytes(identity.signingKey.seed.withBytes { Array($0) }),
    ]
  }
}

extension Params {
  /// A ratchet tree given beside a welcome or group info.
  func tree() throws -> [UInt8]? {
    let tree = try bytes("ratchet_tree")
    return tree.isEmpty ? nil : tree
  }
}
