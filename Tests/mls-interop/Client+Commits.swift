import E2ECrypto

/// Commits, made and received.
extension Client {
  func commit(_ params: Params) throws -> [String: JSON] { try makeCommit(params).answer }

  func makeCommit(_ params: Params) throws -> Membership.Made {
    let member = try member(params)
    let (id, suite, members) = (member.group.groupID, member.group.suite, member.group.members)
    let own = try params.descriptions("by_value").map { try $0.proposal(in: id, suite, members, self) }
    var options = try params.commitOptions()
    options.covers = try member.take(try params.byteList("by_reference"))
    return try member.commit(own, options: options, now: now)
  }

  func handleCommit(_ params: Params) throws -> [String: JSON] {
    let member = try takeCommit(params)
    return ["state_id": .number(try params.id("state_id")), "epoch_authenticator": member.authenticator]
  }

  func takeCommit(_ params: Params) throws -> Membership {
    let member = try member(params)
    _ = try member.take(try params.byteList("proposal"))
    try member.merge(try params.bytes("commit"))
    return member
  }

  func handlePendingCommit(_ params: Params) throws -> [String: JSON] {
    let member = try member(params)
    try member.mergePending()
    return ["state_id": .number(try params.id("state_id")), "epoch_authenticator": member.authenticator]
  }
}
