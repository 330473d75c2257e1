import ChatSDK

/// What `room set` can set, and how its values are written.
enum RoomSet {
  static let keys = ["name", "topic", "avatar", "policy", "retention", "disappearing", "history"]

  static func policy(_ text: String) throws(Failure) -> JoinPolicy {
    guard let policy = JoinPolicy(rawValue: text) else { throw Failure.usage("POLICY is closed, ask or open") }
    return policy
  }

  /// Seconds, or a number with `m`, `h` or `d` behind it; `off` is none.
  static func seconds(_ text: String) throws(Failure) -> UInt64 {
    if text == "off" { return 0 }
    let units: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    let unit = text.last.flatMap { units[$0] }
    guard let number = UInt64(unit == nil ? text : String(text.dropLast())), number <= 1_000_000_000 else {
      throw Failure.usage("a time is written as 3600, 60m, 12h, 30d or off")
    }
    return number * (unit ?? 1)
  }

  /// The same the other way round.
  static func text(seconds: UInt64) -> String {
    for (unit, name) in [(86_400, "d"), (3600, "h"), (60, "m")] as [(UInt64, String)] where seconds % unit == 0 {
      return "\(seconds / unit)\(name)"
    }
    return "\(seconds)s"
  }

  static func text(_ history: HistoryPolicy) -> String {
    switch history {
    case .none: "none"
    case .all: "all"
    case .days(let days): "\(days) days"
    }
  }

  static func change(_ key: String, _ value: String) throws(Failure) -> @Sendable (inout RoomSettings) -> Void {
    switch key {
    case "name": return { $0.name = value }
    case "topic": return { $0.topic = value }
    case "avatar": return { $0.avatar = value }
    case "policy":
      let policy = try policy(value)
      return { $0.joinPolicy = policy }
    case "retention":
      let time = try seconds(value)
      return { $0.retention = time }
    case "disappearing":
      let time = try seconds(value)
      return { $0.disappearing = time }
    case "history":
      if value == "none" { return { $0.history = .none } }
      if value == "all" { return { $0.history = .all } }
      guard let days = UInt32(value), (1...36_500).contains(days) else {
        throw Failure.usage("history is none, all, or a number of days")
      }
      return { $0.history = .days(days) }
    default:
      let nearest = Suggestion.nearest(to: key, in: keys).map { "did you mean \($0)?" }
      throw Failure.usage("there is no setting \(key)", hint: nearest ?? "there are: " + keys.joined(separator: ", "))
    }
  }
}

extension Command {
  static let roomSet = Command(
    name: "room set", parameters: ["ROOM", "KEY", "VALUE"],
    summary: "change a setting for all members",
    details:
      "KEY is name, topic, avatar, policy (closed, ask, open), retention or disappearing (3600, 60m, 12h, 30d, off),"
      + " or history (none, all, or a number of days)."
  ) { context in
    let words = context.arguments.positional
    try await context.setRoom(words[0], words[1], words[2])
  }

  static let roomTopic = Command(
    name: "room topic", parameters: ["ROOM", "TEXT"], summary: "say what the room is about"
  ) { context in try await context.setRoom(context.arguments.positional[0], "topic", context.arguments.positional[1]) }

  static let roomRename = Command(
    name: "room rename", parameters: ["ROOM", "NAME"], summary: "rename the room for all"
  ) { context in try await context.setRoom(context.arguments.positional[0], "name", context.arguments.positional[1]) }
}

extension Context {
  func setRoom(_ name: String, _ key: String, _ value: String) async throws {
    let change = try RoomSet.change(key, value)
    try await withRoom(name) { _, room in
      try await room.change(change)
      output.print(
        [("type", .string("room_set")), ("room", .string(room.id.text)), ("key", .string(key))], text: "set \(key)")
    }
  }
}
