import CryptoPrimitives
import E2ECrypto

/// What a member does with a group as it is.
extension Client {
  func groupInfo(_ params: Params) throws -> [String: JSON] {
    let member = try member(params)
    let isApart = try params.flag("external_tree")
    return [
      "group_info": .bytes(try member.group.groupInfo(includesTree: !isApart)),
      "ratchet_tree": .bytes(isApart ? member.group.ratchetTree : []),
    ]
  }

  func stateAuth(_ params: Params) throws -> [String: JSON] {
    ["state_auth_secret": try member(params).authenticator]
  }

  func export(_ params: Params) throws -> [String: JSON] {
    let secret = try member(params).group.export(
      label: try params.text("label"), context: try params.bytes("context"),
      length: Int(try params.number("key_length", as: UInt32.self)))
    return ["exported_secret": .bytes(secret.withBytes { Array($0) })]
  }

  func protect(_ params: Params) throws -> [String: JSON] {
    let message = try member(params).group.protect(
      try params.bytes("plaintext"), authenticatedData: try params.bytes("authenticated_data"))
    return ["ciphertext": .bytes(message)]
  }

  func unprotect(_ params: Params) throws -> [String: JSON] {
    let member = try member(params)
    let ciphertext = try params.bytes("ciphertext")
    guard try MessageHeader(of: ciphertext).isApplication else {
      throw Failure(.invalidArgument, "the message is no application message")
    }
    guard case .application(let message) = try member.group.receive(ciphertext) else {
      throw Failure(.internal, "an application message was something else")
    }
    return ["authenticated_data": .bytes(message.authenticatedData), "plaintext": .bytes(message.content)]
  }
}
