import ChatSDK

extension Command {
  static let roomStatus = Command(
    name: "room status", parameters: ["ROOM"], summary: "say how a room stands, here and at the relay"
  ) { context in
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      let status = try await room.status()
      let settings = status.settings
      let lines = [
        "\(SafeText.line(status.name))  \(status.id.text)",
        settings.topic.isEmpty ? nil : "topic: \(SafeText.line(settings.topic))",
        "health: \(status.health.rawValue), you are \(Lines.role(status.role))",
        "members: \(status.members) with \(status.devices) devices, \(status.online) online",
        "join policy: \(settings.joinPolicy.rawValue)",
        settings.avatar.isEmpty ? nil : "avatar: \(SafeText.line(settings.avatar))",
        settings.retention == 0 ? nil : "kept for: \(RoomSet.text(seconds: settings.retention))",
        settings.disappearing == 0 ? nil : "messages disappear after: \(RoomSet.text(seconds: settings.disappearing))",
        settings.history == .none ? nil : "history for newcomers: \(RoomSet.text(settings.history))",
        "epoch \(status.epoch), entry \(status.sequence)"
          + (status.relayEpoch.map { "; at the relay \($0), \(status.relaySequence ?? 0)" } ?? ""),
      ]
      context.output.print(
        [
          ("type", .string("room_status")), ("room", .string(status.id.text)), ("name", .string(status.name)),
          ("health", .string(status.health.rawValue)), ("role", .string(Fields.roleName(status.role))),
          ("direct", .bool(status.isDirect)), ("members", .number(status.members)),
          ("devices", .number(status.devices)), ("online", .number(status.online)), ("epoch", .number(status.epoch)),
          ("sequence", .number(status.sequence)), ("relayEpoch", status.relayEpoch.map { .number($0) } ?? .null),
          ("relaySequence", status.relaySequence.map { .number($0) } ?? .null),
          ("settings", .object(Fields.settings(settings))),
        ], text: lines.compactMap { $0 }.joined(separator: "\n"))
    }
  }
}
