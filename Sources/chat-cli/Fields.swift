import ChatSDK

/// The JSON shapes, version 1, of what the SDK returns: one place, so that a thing looks the same in every command.
enum Fields {
  static func account(_ account: Account) -> [(String, JSON)] {
    [
      ("type", .string("account")), ("username", .string(account.username)), ("user", .string(account.id.text)),
      ("device", .string(account.device.text)), ("deviceName", .string(account.deviceName)),
      ("relay", .string(account.relay)), ("loggedIn", .bool(account.isLoggedIn)),
    ]
  }

  static func person(_ person: Person) -> JSON {
    var fields: [(String, JSON)] = [("username", .string(person.username)), ("user", .string(person.id.text))]
    if let name = person.displayName { fields.append(("displayName", .string(name))) }
    if let url = person.avatarURL { fields.append(("avatarURL", .string(url))) }
    return .object(fields)
  }

  static func presence(_ presence: Presence) -> [(String, JSON)] {
    [
      ("type", .string("presence")), ("person", person(presence.person)),
      ("status", .string(presence.status.rawValue)),
      ("lastSeen", presence.lastSeen.map { .number($0.millisecondsSince1970) } ?? .null),
    ]
  }

  static func message(_ message: Message) -> [(String, JSON)] {
    [
      ("type", .string("message")), ("id", .string(message.id.text)), ("room", .string(message.room.text)),
      ("sequence", message.sequence.map { .number($0) } ?? .null), ("sender", person(message.sender)),
      ("text", .string(message.text)), ("sentAt", .number(message.sentAt.millisecondsSince1970)),
      ("receivedAt", .number(message.receivedAt.millisecondsSince1970)), ("state", .string(message.state.rawValue)),
    ]
  }

  static func room(_ room: RoomSummary) -> [(String, JSON)] {
    [
      ("type", .string("room")), ("room", .string(room.id.text)), ("name", .string(room.name)),
      ("members", .number(room.memberCount)), ("epoch", .number(room.epoch)), ("unread", .number(room.unread)),
      ("lastActivity", room.lastActivity.map { .number($0.millisecondsSince1970) } ?? .null),
      ("health", .string(room.health.rawValue)),
    ]
  }

  static func member(_ member: RoomMember) -> [(String, JSON)] {
    [
      ("type", .string("member")), ("username", .string(member.person.username)),
      ("user", .string(member.person.id.text)), ("displayName", .optional(member.person.displayName)),
      ("avatarURL", .optional(member.person.avatarURL)), ("role", .string(roleName(member.role))),
      ("devices", .number(member.deviceCount)), ("verified", .bool(member.isVerified)), ("self", .bool(member.isSelf)),
    ]
  }

  static func finding(_ finding: Finding, type: String = "finding") -> [(String, JSON)] {
    [
      ("type", .string(type)), ("code", .string(finding.code.rawValue)), ("room", .optional(finding.room?.text)),
      ("person", finding.person.map(person) ?? .null), ("sequence", finding.sequence.map { .number($0) } ?? .null),
      ("at", .number(finding.at.millisecondsSince1970)), ("detail", .string(finding.detail)),
    ]
  }

  static func roleName(_ role: Role) -> String {
    switch role {
    case .member: "member"
    case .admin: "admin"
    case .owner: "owner"
    }
  }

  /// An event of a room or of the whole account.
  static func event(_ event: Event) -> [(String, JSON)] {
    switch event {
    case .message(let message), .sent(let message): Fields.message(message)
    case .joined(let change): roomChange("joined", change)
    case .roomRenamed(let change): roomChange("room_renamed", change)
    case .roomResumed(let change): roomChange("room_resumed", change)
    case .roomDeleted(let change): roomChange("room_deleted", change)
    case .roleChanged(let change):
      [
        ("type", .string("role_changed")), ("room", .string(change.room.text)), ("member", person(change.member)),
        ("role", .string(roleName(change.role))), ("by", person(change.by)),
      ]
    case .settingsChanged(let change):
      [
        ("type", .string("settings_changed")), ("room", .string(change.room.text)),
        ("changed", .array(change.changed.map(\.rawValue).sorted().map { .string($0) })),
        ("settings", .object(settings(change.settings))), ("by", person(change.by)),
      ]
    case .joinRequested(let request): joinRequest(request)
    case .memberJoined(let change): memberChange("member_joined", change)
    case .memberBanned(let change): memberChange("member_banned", change)
    case .memberUnbanned(let change): memberChange("member_unbanned", change)
    case .deviceEntered(let change): memberChange("device_entered", change)
    case .deviceRemoved(let change): memberChange("device_removed", change)
    case .removedFromRoom(let change): roomChange("removed_from_room", change)
    case .memberAdded(let change): memberChange("member_added", change)
    case .memberRemoved(let change): memberChange("member_removed", change)
    case .memberLeft(let change): memberChange("member_left", change)
    case .identityChanged(let change):
      [
        ("type", .string("identity_changed")), ("person", person(change.person)),
        ("wasVerified", .bool(change.wasVerified)),
      ]
    case .newDevice(let change):
      [
        ("type", .string("new_device")), ("person", person(change.person)), ("device", .string(change.device.text)),
        ("deviceName", .string(change.name)),
      ]
    case .relayMismatch(let finding): Fields.finding(finding, type: "relay_mismatch")
    case .undecryptable(let finding): Fields.finding(finding, type: "undecryptable")
    case .refused(let finding): Fields.finding(finding, type: "refused")
    case .contactsChanged(let changes):
      [
        ("type", .string("contacts_changed")),
        (
          "changes",
          .array(
            changes.map { change in
              .object([("person", person(change.person)), ("state", .optional(change.state?.rawValue))])
            })
        ),
      ]
    case .presence(let presence): Fields.presence(presence)
    case .profileChanged(let person):
      [("type", .string("profile_changed")), ("person", Fields.person(person))]
    case .connection(let state): [("type", .string("connection")), ("state", .string(state.rawValue))]
    }
  }

  static func joinRequest(_ request: JoinRequested) -> [(String, JSON)] {
    [
      ("type", .string("join_requested")), ("room", .string(request.room.text)), ("person", person(request.person)),
      ("since", .number(request.since.millisecondsSince1970)), ("returning", .bool(request.isReturn)),
    ]
  }

  static func settings(_ settings: RoomSettings) -> [(String, JSON)] {
    let history: JSON =
      switch settings.history {
      case .none: .string("none")
      case .all: .string("all")
      case .days(let days): .number(days)
      }
    return [
      ("name", .string(settings.name)), ("topic", .string(settings.topic)), ("avatar", .string(settings.avatar)),
      ("joinPolicy", .string(settings.joinPolicy.rawValue)), ("retentionSeconds", .number(settings.retention)),
      ("disappearingSeconds", .number(settings.disappearing)), ("history", history),
    ]
  }

  private static func roomChange(_ type: String, _ change: RoomChange) -> [(String, JSON)] {
    [
      ("type", .string(type)), ("room", .string(change.room.text)), ("name", .string(change.name)),
      ("by", change.by.map(person) ?? .null),
    ]
  }

  private static func memberChange(_ type: String, _ change: MemberChange) -> [(String, JSON)] {
    [
      ("type", .string(type)), ("room", .string(change.room.text)), ("member", person(change.member)),
      ("by", person(change.by)),
    ]
  }
}
