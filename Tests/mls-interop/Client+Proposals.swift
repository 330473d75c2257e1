import CryptoPrimitives
import E2ECrypto
import WireCodec

/// Proposals of members.
extension Client {
  func addProposal(_ params: Params) throws -> [String: JSON] {
    try propose(params, .add(try KeyPackage(message: try params.bytes("key_package"))))
  }

  func updateProposal(_ params: Params) throws -> [String: JSON] {
    try member(params).propose { try $0.proposeUpdate() }
  }

  func removeProposal(_ params: Params) throws -> [String: JSON] {
    try propose(params, .remove(try member(params).leaf(try params.bytes("removed_id"))))
  }

  func externalPSKProposal(_ params: Params) throws -> [String: JSON] {
    try propose(params, .externalPSK(id: try params.bytes("psk_id"), suite: try member(params).group.suite))
  }

  func resumptionPSKProposal(_ params: Params) throws -> [String: JSON] {
    let epoch = Epoch(try params.number("epoch_id", as: UInt64.self))
    return try propose(params, try member(params).group.resumptionProposal(epoch: epoch))
  }

  func groupContextExtensionsProposal(_ params: Params) throws -> [String: JSON] {
    try propose(params, .groupContextExtensions(try params.extensions()))
  }

  func reInitProposal(_ params: Params) throws -> [String: JSON] {
    try propose(params, .reInit(try reInit(params)))
  }

  /// Adds a sender to those that the group has: the whole list is proposed anew.
  func addExternalSigner(_ params: Params) throws -> [String: JSON] {
    let member = try member(params)
    guard let sender = try? ExternalSender(decoding: try params.bytes("external_sender")) else {
      throw Failure(.invalidArgument, "external_sender is none")
    }
    var extensions = member.group.extensions
    var senders = try member.group.externalSenders()
    senders.append(sender)
    let place = extensions.firstIndex { $0.type == Extension.externalSendersType }
    if let place {
      extensions[place] = .externalSenders(senders)
    } else {
      extensions.append(.externalSenders(senders))
    }
    return try propose(params, .groupContextExtensions(extensions))
  }

  private func propose(_ params: Params, _ proposal: Proposal) throws -> [String: JSON] {
    let now = now
    return try member(params).propose { try $0.propose(proposal, now: now) }
  }

  func reInit(_ params: Params) throws -> ReInit {
    ReInit(
      groupID: GroupID(try params.bytes("group_id")), cipherSuite: try suite(params).rawValue,
      extensions: try params.extensions())
  }
}

/// A proposal as `ProposalDescription` gives it.
struct Description {
  static let fields: Set<String> = [
    "proposal_type", "key_package", "removed_id", "psk_id", "epoch_id", "extensions", "group_id", "cipher_suite",
  ]

  let params: Params

  /// - Parameter members: of the group, among whom the one to remove is looked up.
  func proposal(
    in groupID: GroupID, _ suite: CipherSuite, _ members: [Member], _ client: Client
  ) throws -> Proposal {
    switch String(decoding: try params.bytes("proposal_type"), as: UTF8.self) {
    case "add": return .add(try KeyPackage(message: try params.bytes("key_package")))
    case "remove": return .remove(try members.leaf(try params.bytes("removed_id")))
    case "externalPSK": return .externalPSK(id: try params.bytes("psk_id"), suite: suite)
    case "resumptionPSK":
      let epoch = Epoch(try params.number("epoch_id", as: UInt64.self))
      return .resumptionPSK(groupID: groupID, epoch: epoch, suite: suite)
    case "groupContextExtensions": return .groupContextExtensions(try params.extensions())
    case "reinit": return .reInit(try client.reInit(params))
    default: throw Failure(.invalidArgument, "there is no such proposal_type")
    }
  }
}

extension Params {
  func extensions() throws -> [Extension] {
    try messages("extensions", fields: ["extension_type", "extension_data"]).map { entry in
      guard let type = UInt16(exactly: try entry.number("extension_type", as: UInt32.self)) else {
        throw Failure(.invalidArgument, "extension_type is not a number of 16 bits")
      }
      return Extension(type: type, data: try entry.bytes("extension_data"))
    }
  }

  func descriptions(_ name: String) throws -> [Description] {
    try messages(name, fields: Description.fields).map(Description.init)
  }
}
