import CryptoPrimitives
import RelayProtocol

/// One verb of `relay-server admin`.
struct AdminVerb: Sendable {
  let name: String
  let parameters: [String]
  let body: @Sendable (Admin.Work) async throws(SubcommandFailure) -> [AdminRow]

  init(
    _ name: String, _ parameters: String...,
    body: @escaping @Sendable (Admin.Work) async throws(SubcommandFailure) -> [AdminRow]
  ) {
    (self.name, self.parameters, self.body) = (name, parameters, body)
  }

  static let all: [AdminVerb] = users + identities + rooms + invites + keys + [auditLog]

  /// The verb that the words begin with, and its parameters.
  static func find(_ words: [String]) throws(SubcommandFailure) -> (AdminVerb, [String]) {
    for count in [2, 1] where words.count >= count {
      let name = words.prefix(count).joined(separator: " ")
      guard let verb = all.first(where: { $0.name == name }) else { continue }
      guard words.count - count == verb.parameters.count else {
        throw SubcommandFailure(
          "it is called as: relay-server admin \(([name] + verb.parameters).joined(separator: " "))",
          exitCode: SubcommandFailure.usage)
      }
      return (verb, Array(words.dropFirst(count)))
    }
    let wanted = words.prefix(2).joined(separator: " ")
    let question = Nearest.question(wanted, among: all.map(\.name))
    throw SubcommandFailure(
      "there is no admin command \(RelayCommand.printable(wanted))\(question)",
      hint: "relay-server admin --help lists them", exitCode: SubcommandFailure.usage)
  }

  // MARK: Users

  private static let users: [AdminVerb] = [
    AdminVerb("users list") { work async throws(SubcommandFailure) in
      let limit = try work.number("limit", default: 1000, in: 1...100_000)
      let state = try state(work.values["state"])
      let accounts = try await work.run { () throws(RelayError) in
        try await work.store.accounts(after: work.values["after"] ?? "", state: state, limit: limit)
      }
      return accounts.map(row)
    },
    AdminVerb("users show", "USER") { work async throws(SubcommandFailure) in
      [row(try await work.account(work.parameters[0]))]
    },
    AdminVerb("users role", "USER", "ROLE") { work async throws(SubcommandFailure) in
      guard let role = AccountRole(rawValue: work.parameters[1]) else {
        throw SubcommandFailure("ROLE is user, moderator or admin", exitCode: SubcommandFailure.usage)
      }
      let account = try await work.account(work.parameters[0])
      try await work.run { () throws(RelayError) in
        try await work.store.changeRole(
          of: account.id, to: role, work.record("users role \(role.rawValue)", "\(account.id)"))
      }
      return [row(try await work.account("\(account.id)"))]
    },
    change("disable", .disabled, from: [.active, .locked]), change("enable", .active, from: [.disabled, .locked]),
    change("lock", .locked, from: [.active, .disabled]),
    change("delete", .deleted, from: [.active, .disabled, .locked]),
    change("restore", .active, from: [.deleted]),
    AdminVerb("users sessions", "USER") { work async throws(SubcommandFailure) in
      let account = try await work.account(work.parameters[0])
      let sessions = try await work.run { () throws(RelayError) in try await work.store.sessions(of: account.id) }
      return sessions.map { session in
        AdminRow([
          ("session", .text("\(session.id)")), ("device", .text("\(session.device)")),
          ("created", .time(session.created)), ("expires", .time(session.expires)),
        ])
      }
    },
    AdminVerb("users logout", "USER") { work async throws(SubcommandFailure) in
      let account = try await work.account(work.parameters[0])
      let only = work.values["session"]
      guard only == nil || only.flatMap({ UInt64($0) }) != nil else {
        throw SubcommandFailure("--session takes a session's number", exitCode: SubcommandFailure.usage)
      }
      let ended = try await work.run { () throws(RelayError) in
        try await work.store.endSessions(
          of: account.id, only: only.flatMap { UInt64($0) }, work.record("users logout", "\(account.id)"))
      }
      work.ended(ended)
      return [AdminRow([("user", .text("\(account.id)")), ("ended", .number(UInt64(ended.count)))])]
    },
  ]

  private static func change(_ name: String, _ state: AccountState, from allowed: [AccountState]) -> AdminVerb {
    AdminVerb("users \(name)", "USER") { work async throws(SubcommandFailure) in
      let account = try await work.account(work.parameters[0])
      guard allowed.contains(account.state) || account.state == state else {
        throw SubcommandFailure(
          "the account is \(account.state.text)",
          hint: "relay-server admin users \(account.state == .deleted ? "restore" : "enable") brings it back",
          exitCode: SubcommandFailure.refused)
      }
      let ended = try await work.run { () throws(RelayError) in
        try await work.store.changeState(of: account.id, to: state, work.record("users \(name)", "\(account.id)"))
      }
      work.ended(ended)
      return [row(try await work.account("\(account.id)"))]
    }
  }

  private static func state(_ text: String?) throws(SubcommandFailure) -> AccountState? {
    guard let text else { return nil }
    guard let state = AccountState(text: text) else {
      throw SubcommandFailure("--state takes active, disabled, locked or deleted", exitCode: SubcommandFailure.usage)
    }
    return state
  }

  private static func row(_ account: AccountRecord) -> AdminRow {
    AdminRow([
      ("username", .text(account.username)), ("user", .text("\(account.id)")), ("role", .text(account.role)),
      ("state", .text(account.state.text)), ("email", .text(account.email ?? "")),
      ("phone", .text(account.phone ?? "")), ("created", .time(account.created)),
      ("lastSeen", .time(account.lastSeen)),
    ])
  }

  // MARK: Rooms

  private static let rooms: [AdminVerb] = [
    AdminVerb("rooms list") { work async throws(SubcommandFailure) in
      let limit = try work.number("limit", default: 1000, in: 1...100_000)
      return try await work.run { () throws(RelayError) in try await work.store.allRooms(limit: limit) }.map(row)
    },
    AdminVerb("rooms show", "ROOM") { work async throws(SubcommandFailure) in
      let room = try room(work)
      let found = try await work.run { () throws(RelayError) in try await work.store.roomOverview(room) }
      guard let found else {
        throw SubcommandFailure(
          "there is no such room", hint: "relay-server admin rooms list shows them", exitCode: SubcommandFailure.refused
        )
      }
      return [row(found)]
    },
  ]

  private static func room(_ work: Admin.Work) throws(SubcommandFailure) -> RoomID {
    guard let room = RoomID(work.parameters[0]) else {
      throw SubcommandFailure(
        "ROOM is a room's id", hint: "relay-server admin rooms list shows them; names are not known here",
        exitCode: SubcommandFailure.usage)
    }
    return room
  }

  private static func row(_ room: RoomOverview) -> AdminRow {
    AdminRow([
      ("room", .text("\(room.room)")), ("members", .number(UInt64(room.members))), ("epoch", .number(room.epoch)),
      ("entries", .number(room.last)), ("created", .time(room.created)),
    ])
  }

  // MARK: Invitations

  private static let invites: [AdminVerb] = [
    AdminVerb("invites create") { work async throws(SubcommandFailure) in
      let uses = try work.number("uses", default: 1, in: 1...1_000_000)
      let hours = try work.number("hours", default: 168, in: 1...8760)
      let token = InviteToken.make()
      let now = work.admin.now()
      let record = InviteRecord(
        id: 0, uses: uses, used: 0, created: now, expires: now + UInt64(hours) * 3_600_000, isRevoked: false)
      let made = try await work.run { () throws(RelayError) in
        try await work.store.createInvite(record, hash: InviteToken.hash(token), actor: work.actor)
      }
      // The only time that the token is shown: the store has its hash.
      return [
        AdminRow([
          ("token", .text(token)), ("invite", .number(made.id)), ("uses", .number(UInt64(uses))),
          ("expires", .time(made.expires)),
        ])
      ]
    },
    AdminVerb("invites list") { work async throws(SubcommandFailure) in
      try await work.run { () throws(RelayError) in try await work.store.invites() }.map { invite in
        AdminRow([
          ("invite", .number(invite.id)), ("uses", .number(UInt64(invite.uses))),
          ("used", .number(UInt64(invite.used))), ("created", .time(invite.created)),
          ("expires", .time(invite.expires)), ("revoked", .flag(invite.isRevoked)),
        ])
      }
    },
    AdminVerb("invites revoke", "INVITE") { work async throws(SubcommandFailure) in
      guard let id = UInt64(work.parameters[0]), id <= UInt64(Int64.max) else {
        throw SubcommandFailure("INVITE is a number that `invites list` shows", exitCode: SubcommandFailure.usage)
      }
      try await work.run { () throws(RelayError) in
        try await work.store.revokeInvite(id, work.record("invites revoke", "\(id)"))
      }
      return [AdminRow([("invite", .number(id)), ("revoked", .flag(true))])]
    },
  ]

  // MARK: Keys and the audit log

  private static let keys: [AdminVerb] = [
    AdminVerb("keys list") { work in
      work.admin.keys.keys.keys.enumerated().map { index, key in
        AdminRow([
          ("key", .text(key.id)), ("signs", .flag(index == 0)), ("until", .time(key.until ?? 0)),
        ])
      }
    },
    AdminVerb("keys rotate") { work async throws(SubcommandFailure) in
      let now = work.admin.now()
      let id = try await work.run { () throws(RelayError) in
        let id = try work.admin.keys.rotate(until: now + work.admin.tokenLifetime + 60_000, now: now)
        try await work.store.note(work.record("keys rotate", id))
        return id
      }
      return [AdminRow([("key", .text(id)), ("signs", .flag(true)), ("until", .time(0))])]
    },
  ]

  private static let auditLog = AdminVerb("audit") { work async throws(SubcommandFailure) in
    let limit = try work.number("limit", default: 1000, in: 1...100_000)
    return try await work.run { () throws(RelayError) in try await work.store.audit(limit: limit) }.map { act in
      AdminRow([
        ("time", .time(act.time)), ("actor", .text(act.actor)), ("act", .text(act.act)),
        ("subject", .text(act.subject)),
      ])
    }
  }
}

/// The token of an invitation: 32 random bytes as text, of which the store keeps the hash.
enum InviteToken {
  static func make() -> String { Base64URL(Random.bytes(32)).text }

  static func hash(_ token: String) -> [UInt8] { Digest.hash(.sha256, Array(token.utf8)) }
}
