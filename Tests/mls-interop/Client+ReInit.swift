import CryptoPrimitives
import E2ECrypto

/// Reinitialisation: the commit that ends a group, and the group that follows.
extension Client {
  func reInitCommit(_ params: Params) throws -> [String: JSON] {
    let made = try makeCommit(params)
    guard made.endsGroup else {
      try member(params).dropPending()
      throw Failure(.invalidArgument, "the commit has no ReInit")
    }
    return made.answer
  }

  func handlePendingReInitCommit(_ params: Params) throws -> [String: JSON] {
    let member = try member(params)
    try member.mergePending()
    return try awaitSuccessor(of: member)
  }

  func handleReInitCommit(_ params: Params) throws -> [String: JSON] {
    try awaitSuccessor(of: takeCommit(params))
  }

  /// Makes a key package for the group that is to follow.
  private func awaitSuccessor(of member: Membership) throws -> [String: JSON] {
    guard let reInit = member.group.reInit else { throw Failure(.invalidArgument, "the commit has no ReInit") }
    let joining = try makeJoining(member.name, CipherSuite(rawValue: reInit.cipherSuite))
    return [
      "reinit_id": .number(try add(Successor(member: member, joining: joining))),
      "key_package": .bytes(joining.bundle.message), "epoch_authenticator": member.authenticator,
    ]
  }

  func reInitWelcome(_ params: Params) throws -> [String: JSON] {
    let successor = try successor(params)
    let member = successor.member
    let group = try member.group.makeSuccessor(
      with: try params.byteList("key_package").map { try KeyPackage(message: $0) },
      as: options(for: successor.joining), options: try params.commitOptions(), now: now,
      identifiedBy: Self.identifier)
    let answer = try begin(group, as: successor.joining.identity, params)
    try forgetSuccessor(params)
    return answer
  }

  func handleReInitWelcome(_ params: Params) throws -> [String: JSON] {
    let successor = try successor(params)
    let join = try successor.member.group.joinSuccessor(
      welcome: try params.bytes("welcome"), keyPackage: successor.joining.bundle, identity: successor.joining.identity,
      ratchetTree: try params.tree(), psks: successor.joining.psks, identifiedBy: Self.identifier)
    let joined = Membership(join.adopt(), identity: successor.joining.identity)
    try forgetSuccessor(params)
    return ["state_id": .number(try add(joined)), "epoch_authenticator": joined.authenticator]
  }

  /// Members are the same if their names are.
  static func identifier(_ credential: Credential) -> [UInt8] { credential.identity ?? [] }

  func options(for joining: Joining) -> MemberOptions {
    var options = MemberOptions(lifetime: lifetime)
    options.identity = joining.identity
    options.capabilities = capabilities
    options.psks = joining.psks
    return options
  }

  /// Begins a group that follows another, and answers with what the others need.
  func begin(
    _ group: consuming PendingGroup, as identity: ClientIdentity, _ params: Params
  ) throws -> [String: JSON] {
    let (welcome, tree) = (group.welcome ?? [], group.ratchetTree)
    let member = Membership(group.adopt(), identity: identity)
    return [
      "state_id": .number(try add(member)), "welcome": .bytes(welcome),
      "ratchet_tree": .bytes(try params.flag("external_tree") ? tree : []),
      "epoch_authenticator": member.authenticator,
    ]
  }
}

extension Params {
  /// What calls that make a commit have in common.
  func commitOptions() throws -> CommitOptions {
    var options = CommitOptions()
    options.forcesPath = try flag("force_path")
    options.welcomeIncludesTree = try !flag("external_tree")
    return options
  }
}
