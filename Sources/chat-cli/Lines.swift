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
    let active = room.lastActivity.map { ", \(day($0))" } ?? ""
    return "\(SafeText.line(room.name)) (\(members)\(unread)\(active))\(health)  \(room.id.text)"
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
      change.by == change.member
        ? "* \(name(change.member)) is now \(role(change.role))"
        : "* \(name(change.member)) was made \(role(change.role)) by \(name(change.by))"
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
      "! the identity of \(name(change.person)) changed: compare safety numbers (`chat-cli verify \(SafeText.line(change.person.username))`)"
    case .newDevice(let change): "* \(name(change.person)) has a new device: \(SafeText.line(change.name))"
    case .relayMismatch(let finding): "! the relay's word differs from the room's: \(SafeText.line(finding.detail))"
    case .undecryptable(let finding): "! an entry could not be read: \(SafeText.line(finding.detail))"
    case .refused(let finding): "! refused: \(SafeText.line(finding.detail))"
    case .contactsChanged(let changes): changes.map(contact).joined(separator: "\n")
    case .presence(let presence): "* \(Lines.presence(presence))"
    case .profileChanged(let person): "* \(SafeText.line(person.username)) is now shown as \(name(person))"
    case .connection(let state): "* \(connection(state))"
    }
  }

  /// The role with its article.
  static func role(_ role: Role) -> String {
    switch role {
    case .owner: "the owner"
    case .admin: "an admin"
    case .member: "a member"
    }
  }

  private static func connection(_ state: ConnectionState) -> String {
    switch state {
    case .offline: "offline: what you send goes out when the relay can be reached again"
    case .connecting: "connecting"
    case .live: "connected"
    case .polling: "connected, by long polls"
    case .loggedOut: "logged out: the session of this device is over"
    }
  }

  private static func settings(_ change: SettingsChange) -> String {
    change.changed.map { $0.rawValue.split(separator: "_").joined(separator: " ") }.sorted().joined(separator: ", ")
  }

  /// The name that others reach a person by, and before it what the person wants to be called. Only the former is unique,
  /// so it always stands there, and nothing of the latter can look like its end.
  static func name(_ person: Person) -> String {
    guard let wanted = person.displayName, !wanted.isEmpty else { return SafeText.line(person.username) }
    let safe = String(
      SafeText.line(wanted).unicodeScalars.map { "()@:".unicodeScalars.contains($0) ? "_" : Character($0) })
    return "\(safe) (\(SafeText.line(person.username)))"
  }

  static func presence(_ presence: Presence) -> String {
    let seen = presence.lastSeen.map { ", last seen \(clock($0))" } ?? ""
    return "\(name(presence.person)) is \(presence.status.rawValue)\(presence.status == .offline ? seen : "")"
  }

  private static func contact(_ change: ContactChange) -> String {
    switch change.state {
    case .requested?: "* you asked \(name(change.person)) to be a contact"
    case .received?:
      "* \(name(change.person)) wants to be a contact (`chat-cli contacts accept \(SafeText.line(change.person.username))`)"
    case .accepted?: "* \(name(change.person)) is now a contact"
    case .blocked?: "* \(name(change.person)) is now blocked"
    case nil: "* \(name(change.person)) is no contact any more"
    }
  }

  private static func by(_ person: Person?) -> String { person.map { " by \(name($0))" } ?? "" }

  /// The time of today, or the day, by this machine's clock and time zone.
  static func day(_ moment: Moment) -> String {
    var (seconds, now) = (time_t(clamping: moment.millisecondsSince1970 / 1000), time(nil))
    var (then, today) = (tm(), tm())
    guard localtime_r(&seconds, &then) != nil, localtime_r(&now, &today) != nil else { return "----" }
    if then.tm_year == today.tm_year, then.tm_yday == today.tm_yday { return clock(moment) }
    func two(_ value: Int32) -> String { (value < 10 ? "0" : "") + String(value) }
    return "\(then.tm_year + 1900)-\(two(then.tm_mon + 1))-\(two(then.tm_mday))"
  }

  /// Hours and minutes by this machine's clock and time zone.
  static func clock(_ moment: Moment) -> String {
    var seconds = time_t(clamping: moment.millisecondsSince1970 / 1000)
    var parts = tm()
    guard localtime_r(&seconds, &parts) != nil else { return "--:--" }
    func two(_ value: Int32) -> String { (value < 10 ? "0" : "") + String(value) }
    return two(parts.tm_hour) + ":" + two(parts.tm_min)
  }
}
