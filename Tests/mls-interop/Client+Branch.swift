import E2ECrypto

/// Subgroup branching.
extension Client {
  func createBranch(_ params: Params) throws -> [String: JSON] {
    let member = try member(params)
    let identity = try identity(member.name, member.group.suite)
    var options = MemberOptions(lifetime: lifetime)
    options.identity = identity
    options.capabilities = capabilities
    let group = try member.group.makeBranch(
      groupID: GroupID(try params.bytes("group_id")), extensions: try params.extensions(),
      with: try params.byteList("key_packages").map { try KeyPackage(message: $0) }, as: options,
      options: try params.commitOptions(), now: now, identifiedBy: Self.identifier)
    return try begin(group, as: identity, params)
  }

  func handleBranch(_ params: Params) throws -> [String: JSON] {
    let (member, joining) = (try member(params), try joining(params))
    let join = try member.group.joinBranch(
      welcome: try params.bytes("welcome"), keyPackage: joining.bundle, identity: joining.identity,
      ratchetTree: try params.tree(), psks: joining.psks, identifiedBy: Self.identifier)
    let joined = Membership(join.adopt(), identity: joining.identity)
    try spend(params)
    return ["state_id": .number(try add(joined)), "epoch_authenticator": joined.authenticator]
  }
}
