import Testing

@testable import mls_interop

/// Where a scenario is played: actors by name, spread over a few clients, and the steps that they take together.
///
/// What each step expects is that of the working group's runner: all who take part in a commit or welcome agree on the
/// epoch's authenticator.
final class Stage {
  /// What all scenarios are played with.
  struct Setting: Sendable, CustomTestStringConvertible {
    let suite: UInt16
    /// Whether members' handshakes are PrivateMessages.
    let isEncrypted: Bool
    /// Whether the ratchet tree goes beside welcomes and group infos.
    let isTreeApart: Bool

    var testDescription: String {
      "suite \(suite), \(isEncrypted ? "private" : "public") handshakes, tree \(isTreeApart ? "apart" : "inside")"
    }
  }

  struct Disagreement: Error, CustomStringConvertible {
    let description: String
  }

  struct PSK {
    let id: [UInt8]
    let secret: [UInt8]
  }

  private struct Actor {
    let process: InteropProcess
    var state: UInt64?
    var transaction: UInt64?
    var signer: UInt64?
  }

  let setting: Setting
  let groupID: [UInt8]
  private let pool: [InteropProcess]
  private var actors: [String: Actor] = [:]

  init(_ setting: Setting, _ pool: [InteropProcess]) {
    self.setting = setting
    self.pool = pool
    groupID = Self.random(16)
  }

  static func random(_ count: Int) -> [UInt8] { (0..<count).map { _ in .random(in: 0...255) } }

  // MARK: Calls

  private subscript(name: String) -> Actor {
    get { actors[name] ?? Actor(process: pool[actors.count % pool.count]) }
    set { actors[name] = newValue }
  }

  @discardableResult
  func call(_ name: String, _ method: String, _ params: [String: JSON] = [:]) throws -> [String: JSON] {
    let actor = self[name]
    actors[name] = actor
    do { return try actor.process.call(method, params) } catch let refusal as InteropProcess.Refusal {
      throw Disagreement(description: "\(name) \(method): \(refusal)")
    }
  }

  /// Calls with the number of the actor's state.
  @discardableResult
  func use(_ name: String, _ method: String, _ params: [String: JSON] = [:]) throws -> [String: JSON] {
    guard let state = self[name].state else { throw Disagreement(description: "\(name) is not in the group") }
    return try call(name, method, params.merging(["state_id": .number(state)]) { $1 })
  }

  /// Takes the new state from an answer, and checks the authenticator if one is known.
  private func enter(_ name: String, _ answer: [String: JSON], expecting authenticator: [UInt8]? = nil) throws {
    self[name].state = try answer.number("state_id")
    guard let authenticator else { return }
    guard try answer.bytes("epoch_authenticator") == authenticator else {
      throw Disagreement(description: "\(name) has another authenticator")
    }
  }

  private var isEncrypted: JSON { .flag(setting.isEncrypted) }
  private var isTreeApart: JSON { .flag(setting.isTreeApart) }

  private func identity(_ name: String) -> JSON { .bytes(Array(name.utf8)) }

  // MARK: Becoming a member

  func create(_ name: String, adding others: [String] = []) throws {
    try enter(
      name,
      try call(
        name, "create_group",
        [
          "group_id": .bytes(groupID), "cipher_suite": .number(UInt64(setting.suite)), "encrypt_handshake": isEncrypted,
          "identity": identity(name),
        ]))
    guard !others.isEmpty else { return }
    let adds = try others.map { Description.add(try keyPackage($0)) }
    try commit(by: name, adds, joiners: others)
  }

  func keyPackage(_ name: String, suite: UInt16? = nil) throws -> [UInt8] {
    let answer = try call(
      name, "create_key_package",
      ["cipher_suite": .number(UInt64(suite ?? setting.suite)), "identity": identity(name)])
    self[name].transaction = try answer.number("transaction_id")
    for key in ["init_priv", "encryption_priv", "signature_priv"] { #expect(try !answer.bytes(key).isEmpty) }
    return try answer.bytes("key_package")
  }

  func join(_ name: String, _ welcome: [UInt8], tree: [UInt8], expecting authenticator: [UInt8]) throws {
    guard let transaction = self[name].transaction else { throw Disagreement(description: "\(name) was not asked") }
    try enter(
      name,
      try call(
        name, "join_group",
        [
          "transaction_id": .number(transaction), "welcome": .bytes(welcome), "encrypt_handshake": isEncrypted,
          "identity": identity(name), "ratchet_tree": .bytes(tree),
        ]), expecting: authenticator)
    self[name].transaction = nil
  }

  func externalJoin(
    _ name: String, by adder: String, members: [String] = [], removingPrior: Bool = false, psks: [PSK] = []
  ) throws {
    let info = try use(adder, "group_info", ["external_tree": isTreeApart])
    #expect(try info.bytes("ratchet_tree").isEmpty != setting.isTreeApart)
    let answer = try call(
      name, "external_join",
      [
        "group_info": info["group_info"] ?? .null, "ratchet_tree": info["ratchet_tree"] ?? .null,
        "encrypt_handshake": isEncrypted, "identity": identity(name), "remove_prior": .flag(removingPrior),
        "psks": .list(psks.map { .object(["psk_id": .bytes($0.id), "psk_secret": .bytes($0.secret)]) }),
      ])
    try enter(name, answer)
    let (commit, authenticator) = (try answer.bytes("commit"), try answer.bytes("epoch_authenticator"))
    for member in [adder] + members {
      try enter(member, try use(member, "handle_commit", ["commit": .bytes(commit)]), expecting: authenticator)
    }
  }

  /// Gives a key to some, members or those about to be.
  func installPSK(_ names: [String]) throws -> PSK {
    let psk = PSK(id: Self.random(32), secret: Self.random(32))
    for name in names {
      guard let id = self[name].state ?? self[name].transaction else {
        throw Disagreement(description: "\(name) is nowhere")
      }
      try call(
        name, "store_psk",
        ["state_or_transaction_id": .number(id), "psk_id": .bytes(psk.id), "psk_secret": .bytes(psk.secret)])
    }
    return psk
  }

  // MARK: Proposals

  /// Has a member make a proposal by any of the calls for that.
  func propose(_ name: String, _ method: String, _ params: [String: JSON] = [:]) throws -> [UInt8] {
    try use(name, method, params).bytes("proposal")
  }

  func add(by name: String, _ keyPackage: [UInt8]) throws -> [UInt8] {
    try propose(name, "add_proposal", ["key_package": .bytes(keyPackage)])
  }

  func update(_ name: String) throws -> [UInt8] { try propose(name, "update_proposal") }

  func remove(_ removed: String, by name: String) throws -> [UInt8] {
    try propose(name, "remove_proposal", ["removed_id": identity(removed)])
  }

  func externalPSK(_ psk: PSK, by name: String) throws -> [UInt8] {
    try propose(name, "external_psk_proposal", ["psk_id": .bytes(psk.id)])
  }

  func resumptionPSK(_ epoch: UInt64, by name: String) throws -> [UInt8] {
    try propose(name, "resumption_psk_proposal", ["epoch_id": .number(epoch)])
  }

  func extensions(_ extensions: JSON, by name: String) throws -> [UInt8] {
    try propose(name, "group_context_extensions_proposal", ["extensions": extensions])
  }

  func joinerProposal(_ joiner: String, from member: String) throws -> [UInt8] {
    let info = try use(member, "group_info")
    let answer = try call(
      joiner, "new_member_add_proposal", ["group_info": info["group_info"] ?? .null, "identity": identity(joiner)])
    self[joiner].transaction = try answer.number("transaction_id")
    return try answer.bytes("proposal")
  }

  /// A proposal to let a signer propose from outside.
  func admit(_ signer: String, by name: String) throws -> [UInt8] {
    let answer = try call(
      signer, "create_external_signer",
      ["cipher_suite": .number(UInt64(setting.suite)), "identity": identity(signer)])
    self[signer].signer = try answer.number("signer_id")
    return try propose(name, "add_external_signer", ["external_sender": answer["external_sender"] ?? .null])
  }

  func signerProposal(_ signer: String, from member: String, _ description: JSON) throws -> [UInt8] {
    let info = try use(member, "group_info", ["external_tree": .flag(true)])
    return try call(
      signer, "external_signer_proposal",
      [
        "signer_id": .number(self[signer].signer ?? 0), "group_info": info["group_info"] ?? .null,
        "ratchet_tree": info["ratchet_tree"] ?? .null, "description": description,
      ]
    ).bytes("proposal")
  }

  // MARK: Commits

  /// Has one commit, merge, and all others follow or join.
  func commit(
    by name: String, _ byValue: [JSON] = [], covering byReference: [[UInt8]] = [], members: [String] = [],
    joiners: [String] = [], forcingPath: Bool = false
  ) throws {
    let references = JSON.list(byReference.map { .bytes($0) })
    let made = try use(
      name, "commit",
      [
        "by_reference": references, "by_value": .list(byValue), "force_path": .flag(forcingPath),
        "external_tree": isTreeApart,
      ])
    #expect(try made.bytes("ratchet_tree").isEmpty != setting.isTreeApart)
    #expect(try made.bytes("welcome").isEmpty == joiners.isEmpty || !byReference.isEmpty || !byValue.isEmpty)
    let merged = try use(name, "handle_pending_commit")
    try enter(name, merged)
    let authenticator = try merged.bytes("epoch_authenticator")
    for member in members {
      let answer = try use(
        member, "handle_commit", ["proposal": references, "commit": made["commit"] ?? .null])
      try enter(member, answer, expecting: authenticator)
    }
    for joiner in joiners {
      try join(
        joiner, try made.bytes("welcome"), tree: try made.bytes("ratchet_tree"), expecting: authenticator)
    }
  }

  // MARK: Groups that follow

  func reInit(
    proposedBy proposer: String? = nil, as proposal: [UInt8]? = nil, committedBy committer: String,
    welcomedBy welcomer: String, all: [String], suite: UInt16? = nil, changingID: Bool = false,
    extensions: JSON = .list([]), forcingPath: Bool = false
  ) throws {
    let proposal =
      try proposal
      ?? propose(
        proposer ?? committer, "re_init_proposal",
        [
          "cipher_suite": .number(UInt64(suite ?? setting.suite)),
          "group_id": .bytes(changingID ? groupID + [1] : groupID), "extensions": extensions,
        ])
    let references = JSON.list([.bytes(proposal)])
    let commit = try use(committer, "re_init_commit", ["by_reference": references])
    var ended = [committer: try use(committer, "handle_pending_re_init_commit")]
    let authenticator = try ended[committer]?.bytes("epoch_authenticator")
    for member in all where member != committer {
      let answer = try use(
        member, "handle_re_init_commit", ["proposal": references, "commit": commit["commit"] ?? .null])
      guard try answer.bytes("epoch_authenticator") == authenticator else {
        throw Disagreement(description: "\(member) ends in another epoch")
      }
      ended[member] = answer
    }
    let others = all.filter { $0 != welcomer }
    let made = try call(
      welcomer, "re_init_welcome",
      [
        "reinit_id": ended[welcomer]?["reinit_id"] ?? .null,
        "key_package": .list(others.compactMap { ended[$0]?["key_package"] }), "force_path": .flag(forcingPath),
        "external_tree": isTreeApart,
      ])
    try enter(welcomer, made)
    for member in others {
      try enter(
        member,
        try call(
          member, "handle_re_init_welcome",
          [
            "reinit_id": ended[member]?["reinit_id"] ?? .null, "welcome": made["welcome"] ?? .null,
            "ratchet_tree": made["ratchet_tree"] ?? .null,
          ]), expecting: try made.bytes("epoch_authenticator"))
    }
  }

  /// Moves some into a branch. The states in the old group are kept if `keeping`, under the names with a stroke.
  func branch(
    by name: String, members: [String], extensions: JSON = .list([]), forcingPath: Bool = false, keeping: Bool = false
  ) throws {
    var transactions: [String: UInt64] = [:]
    let keyPackages = try members.map { member in
      let keyPackage = try keyPackage(member)
      transactions[member] = self[member].transaction
      self[member].transaction = nil
      return JSON.bytes(keyPackage)
    }
    let old = actors
    let made = try use(
      name, "create_branch",
      [
        "group_id": .bytes(Self.random(16)), "extensions": extensions, "key_packages": .list(keyPackages),
        "force_path": .flag(forcingPath), "external_tree": isTreeApart,
      ])
    try enter(name, made)
    for member in members {
      let answer = try use(
        member, "handle_branch",
        [
          "transaction_id": .number(transactions[member] ?? 0), "welcome": made["welcome"] ?? .null,
          "ratchet_tree": made["ratchet_tree"] ?? .null,
        ])
      try enter(member, answer, expecting: try made.bytes("epoch_authenticator"))
    }
    for member in [name] + members {
      guard let before = old[member], let state = before.state else { continue }
      if keeping { actors[member + "'"] = before } else { try call(member, "free", ["state_id": .number(state)]) }
    }
  }

  // MARK: Messages

  func protect(_ text: String, by name: String) throws -> [UInt8] {
    try use(
      name, "protect",
      ["plaintext": .bytes(Array(text.utf8)), "authenticated_data": .bytes(Array("about \(text)".utf8))]
    ).bytes("ciphertext")
  }

  func expect(_ text: String, from message: [UInt8], at name: String) throws {
    let answer = try use(name, "unprotect", ["ciphertext": .bytes(message)])
    guard try answer.bytes("plaintext") == Array(text.utf8),
      try answer.bytes("authenticated_data") == Array("about \(text)".utf8)
    else { throw Disagreement(description: "\(name) reads something else") }
  }

  /// Whether these have the same secrets, and hear each other.
  func expectAgreement(_ names: [String]) throws {
    var secrets: Set<[[UInt8]]> = []
    for name in names {
      secrets.insert([
        try use(name, "state_auth").bytes("state_auth_secret"),
        try use(name, "export", ["label": .text("stage"), "context": .bytes([1]), "key_length": .number(UInt32(40))])
          .bytes("exported_secret"),
      ])
    }
    guard secrets.count == 1, secrets.first?[1].count == 40 else {
      throw Disagreement(description: "the secrets of \(names) differ")
    }
    for speaker in names.prefix(3) {
      let message = try protect("from \(speaker)", by: speaker)
      for listener in names where listener != speaker { try expect("from \(speaker)", from: message, at: listener) }
    }
  }
}
