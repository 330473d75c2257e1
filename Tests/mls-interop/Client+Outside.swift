import CryptoPrimitives
import E2ECrypto
import WireCodec

/// Proposals from outside of a group.
extension Client {
  func newMemberAddProposal(_ params: Params) throws -> [String: JSON] {
    let group = try publicGroup(params, tree: nil)
    let joining = try makeJoining(try params.bytes("identity"), group.suite)
    var answer = joining.privateKeys
    answer["proposal"] = .bytes(
      try joining.bundle.proposeJoining(groupID: group.groupID, epoch: group.epoch, identity: joining.identity))
    answer["transaction_id"] = .number(try add(joining))
    return answer
  }

  func createExternalSigner(_ params: Params) throws -> [String: JSON] {
    let identity = try identity(try params.bytes("identity"), try suite(params))
    let sender = ExternalSender(signatureKey: identity.signingKey.publicKey, credential: identity.credential)
    return [
      "signer_id": .number(try add(Signer(key: identity.signingKey))), "external_sender": .bytes(sender.encoded),
    ]
  }

  /// The place among the group's senders is found by the key: `signer_index` is not needed.
  func externalSignerProposal(_ params: Params) throws -> [String: JSON] {
    let signer = try signer(params)
    _ = try params.number("signer_index", as: UInt32.self)
    let group = try publicGroup(params, tree: try params.tree())
    let description = Description(params: try params.message("description", fields: Description.fields))
    let proposal = try description.proposal(in: group.groupID, group.suite, group.members, self)
    let proposer = try ExternalProposer(group, signingKey: signer.key)
    return ["proposal": .bytes(try proposer.propose(proposal))]
  }

  private func publicGroup(_ params: Params, tree: [UInt8]?) throws -> PublicGroup {
    try PublicGroup(
      groupInfo: try params.bytes("group_info"), ratchetTree: tree, policy: policy(encryptsHandshakes: true))
  }
}
