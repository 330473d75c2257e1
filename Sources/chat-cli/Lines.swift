import ChatSDK
import Glibc

/// The lines that people read. All text of others passes through ``SafeText`` here and nowhere later.
enum Lines {
  static func message(_ message: Message) -> String {
    let text = SafeText.lines(message.text)
    // Further lines are set off, so that no message can look like another's.
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n    ")
    let mark = message.state == .pending ? " (waiting for the relay)" : ""
    return "\(clock(message.sentAt)) \(name(message.sender)): \(lines)\(mark)"
  }

  static func room(_ room: RoomSummary) -> String {
    let unread = room.unread > 0 ? ", \(room.unread) unread" : ""
    let health = room.health == .good ? "" : " [\(room.health.rawValue)]"
    let members = room.memberCount == 1 ? "1 member" : "\(room.memberCount) members"
    return "\(SafeText.line(room.name)) (\(members)\(unread))\(health)  \(room.id.text)"
  }

  static func member(_ member: RoomMember) -> String {
    let marks = [
      member.role == .member ? nil : Fields.roleName(member.role), member.isVerified ? "verified" : nil,
      member.isSelf ? "you" : nil,
    ].compactMap { $0 }
    return name(member.person) + (marks.isEmpty ? "" : " (" + marks.joined(separator: ", ") + ")")
  }

  static func finding(_ finding: Finding) -> String {
    let person = finding.person.map { " " + name($0) } ?? ""
    let place = finding.sequence.map { " at entry \($0)" } ?? ""
    return "\(clock(finding.at)) \(finding.code.rawValue)\(person)\(place): \(SafeText.line(finding.detail))"
  }

  static func event(_ event: Event) -> String {
    switch event {
    case .message(let message), .sent(let message): Lines.message(message)
    case .joined(let change): "* you are now in \(SafeText.line(change.name))"
    case .roomRenamed(let change): "* the room is now called \(SafeText.line(change.name))\(by(change.by))"
    case .roleChanged(let change):
      "* \(name(change.member)) is now \(Fields.roleName(change.role))\(by(change.by))"
    case .settingsChanged(let change): "* \(settings(change)) changed\(by(change.by))"
    case .roomResumed(let change): "* \(SafeText.line(change.name)) works again"
    case .roomDeleted(let change):
      "* \(SafeText.line(change.name)) was deleted\(by(change.by)): keys and history are gone"
    case .joinRequested(let request):
      request.isReturn
        ? "* a device of \(name(request.person)) asks to be added anew" : "* \(name(request.person)) asks to come in"
    case .memberJoined(let change): "* \(name(change.member)) came in by a link"
    case .memberBanned(let change): "* \(name(change.member)) was banned by \(name(change.by))"
    case .memberUnbanned(let change): "* \(name(change.member)) is no longer banned\(by(change.by))"
    case .deviceEntered(let change): "* a device of \(name(change.member)) came in"
    case .deviceRemoved(let change): "* a device of \(name(change.member)) was taken out by \(name(change.by))"
    case .removedFromRoom(let change): "* you were removed from \(SafeText.line(change.name))\(by(change.by))"
    case .memberAdded(let change): "* \(name(change.member)) was added by \(name(change.by))"
    case .memberRemoved(let change): "* \(name(change.member)) was removed by \(name(change.by))"
    case .memberLeft(let change): "* \(name(change.member)) left"
    case .identityChanged(let change):
      "! the identity of \(name(change.person)) changed: compare safety numbers (`chat-cli verify \(name(change.person))`)"
    case .newDevice(let change): "* \(name(change.person)) has a new device: \(SafeText.line(change.name))"
    case .relayMismatch(let finding): "! the relay's word differs from the room's: \(SafeText.line(finding.detail))"
    case .undecryptable(let finding): "! an entry could not be read: \(SafeText.line(finding.detail))"
    case .refused(let finding): "! refused: \(SafeText.line(finding.detail))"
    case .connection(let state): "* \(state.rawValue)"
    }
  }

  private static func settings(_ change: SettingsChange) -> String {
    change.changed.map { $0.rawValue.split(separator: "_").joined(separator: " ") }.sorted().joined(separator: ", ")
  }

  static func name(_ person: Person) -> String { SafeText.line(person.username) }

  private static func by(_ person: Person?) -> String { person.map { " by \(name($0))" } ?? "" }

  /// Hours and minutes by this machine's clock and time zone.
  static func clock(_ moment: Moment) -> String {
    var seconds = time_t(clamping: moment.millisecondsSince1970 / 1000)
    var parts = tm()
    guard localtime_r(&seconds, &parts) != nil else { return "--:--" }
    func two(_ value: Int32) -> String { (value < 10 ? "0" : "") + String(value) }
    return two(parts.tm_hour) + ":" + two(parts.tm_min)
  }
}
