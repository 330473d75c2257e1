import RelayProtocol
package import WireCodec

/// A value that the store keeps sealed, in the encoding of the wire.
package protocol StoredRecord: WireCodable {
  static var kind: RecordKind { get }
  var key: [UInt8] { get }
}

extension WireCodable {
  /// - Throws: `storeDamaged`: what was sealed is opened whole or not at all, so this is another version's or a bug.
  init(stored bytes: [UInt8]) throws(ChatError) {
    do { try self.init(decoding: bytes) } catch { throw ChatError(.storeDamaged, underlying: error) }
  }
}

extension Reader {
  mutating func readString(max: Int = 4096) throws(WireError) -> String {
    guard let text = String(validating: try readVector(max: max), as: UTF8.self) else {
      throw WireError(.invalidValue)
    }
    return text
  }

  mutating func readBool() throws(WireError) -> Bool {
    switch try readUInt8() {
    case 0: false
    case 1: true
    default: throw WireError(.invalidValue)
    }
  }
}

extension Writer {
  mutating func write(_ text: String) { writeVector(Array(text.utf8)) }
  mutating func write(_ flag: Bool) { write(UInt8(flag ? 1 : 0)) }
}

/// This account and this device, with their private keys.
package struct AccountRecord: StoredRecord {
  package static let kind = RecordKind.account
  package static let key: [UInt8] = []
  package var key: [UInt8] { Self.key }

  var user: UserID
  var username: String
  var device: DeviceID
  var deviceName: String
  var relay: String
  /// Seeds of the Ed25519 keys.
  var accountSeed: [UInt8]
  var deviceSeed: [UInt8]
  /// The account's newest ``SignedDeviceList``, encoded.
  var deviceList: [UInt8]
  /// Whether the relay has said yes. Keys are stored before the relay is asked, so that a lost answer loses no account.
  var isRegistered: Bool

  init(
    user: UserID, username: String, device: DeviceID, deviceName: String, relay: String, accountSeed: [UInt8],
    deviceSeed: [UInt8], deviceList: [UInt8], isRegistered: Bool
  ) {
    (self.user, self.username, self.device, self.deviceName) = (user, username, device, deviceName)
    (self.relay, self.accountSeed, self.deviceSeed) = (relay, accountSeed, deviceSeed)
    (self.deviceList, self.isRegistered) = (deviceList, isRegistered)
  }

  package init(from reader: inout Reader) throws(WireError) {
    user = try UserID(from: &reader)
    username = try reader.readString()
    device = try DeviceID(from: &reader)
    deviceName = try reader.readString()
    relay = try reader.readString()
    accountSeed = try reader.readVector(max: 64)
    deviceSeed = try reader.readVector(max: 64)
    deviceList = try reader.readVector(max: Limits.deviceList)
    isRegistered = try reader.readBool()
  }

  package func encode(into writer: inout Writer) {
    writer.write(user)
    writer.write(username)
    writer.write(device)
    writer.write(deviceName)
    writer.write(relay)
    writer.writeVector(accountSeed)
    writer.writeVector(deviceSeed)
    writer.writeVector(deviceList)
    writer.write(isRegistered)
  }
}

/// The session at the relay.
package struct SessionRecord: StoredRecord {
  package static let kind = RecordKind.session
  package static let key: [UInt8] = []
  package var key: [UInt8] { Self.key }

  var accessToken: String
  /// By this machine's clock, in milliseconds since 1970.
  var accessExpires: UInt64
  var refreshToken: String

  init(accessToken: String, accessExpires: UInt64, refreshToken: String) {
    (self.accessToken, self.accessExpires, self.refreshToken) = (accessToken, accessExpires, refreshToken)
  }

  package init(from reader: inout Reader) throws(WireError) {
    accessToken = try reader.readString(max: Limits.token)
    accessExpires = try reader.readUInt64()
    refreshToken = try reader.readString(max: Limits.token)
  }

  package func encode(into writer: inout Writer) {
    writer.write(accessToken)
    writer.write(accessExpires)
    writer.write(refreshToken)
  }
}

/// A room as it stands here, beside its group's state.
package struct RoomRecord: StoredRecord {
  package static let kind = RecordKind.room
  package var key: [UInt8] { room.bytes }

  package var room: RoomID
  var name: String
  var memberCount: UInt32
  var epoch: UInt64
  /// The last entry of the log that was taken in.
  var position: StreamPosition
  /// The accepted order so far.
  var order: RoomOrder
  var lastRead: UInt64
  var lastActivity: UInt64
  var health: RoomHealth
  /// The commit that was refused here, if the room has stopped for one: another may take its place.
  var refused: UInt64?
  /// Whether an admin's client may do that by itself.
  var mayReplace = false
  /// Whether this device may be what is out of step, and comes back from outside.
  var mayReturn = false
  /// Who asked to be taken out, until it is done.
  var leaving: [UserID] = []
  /// What the relay has acknowledged and the log has not shown yet.
  var promises: [RelayPromise] = []
  /// The latest commits that were followed, the newest last.
  var followed: [FollowedCommit] = []

  init(
    room: RoomID, name: String, memberCount: Int, epoch: UInt64, position: StreamPosition, authenticator: [UInt8],
    now: UInt64
  ) {
    (self.room, self.name, self.memberCount) = (room, name, UInt32(clamping: memberCount))
    (self.epoch, self.position) = (epoch, position)
    order = RoomOrder(authenticator: authenticator, sequence: position.sequence)
    (self.lastRead, self.lastActivity, self.health) = (position.sequence, now, .good)
  }

  package init(from reader: inout Reader) throws(WireError) {
    room = try RoomID(from: &reader)
    name = try reader.readString()
    memberCount = try reader.readUInt32()
    epoch = try reader.readUInt64()
    position = try StreamPosition(from: &reader)
    order = try RoomOrder(from: &reader)
    lastRead = try reader.readUInt64()
    lastActivity = try reader.readUInt64()
    guard let health = RoomHealth(rawValue: try reader.readString()) else { throw WireError(.invalidValue) }
    self.health = health
    refused = try reader.readBool() ? try reader.readUInt64() : nil
    mayReplace = try reader.readBool()
    mayReturn = try reader.readBool()
    leaving = try reader.readList()
    promises = try reader.readList()
    followed = try reader.readList()
  }

  package func encode(into writer: inout Writer) {
    writer.write(room)
    writer.write(name)
    writer.write(memberCount)
    writer.write(epoch)
    writer.write(position)
    writer.write(order)
    writer.write(lastRead)
    writer.write(lastActivity)
    writer.write(health.rawValue)
    writer.write(refused != nil)
    if let refused { writer.write(refused) }
    writer.write(mayReplace)
    writer.write(mayReturn)
    writer.writeList(leaving)
    writer.writeList(promises)
    writer.writeList(followed)
  }
}

/// A message with what is needed to seal it again.
package struct MessageRecord: WireCodable {
  /// Messages without a sequence stand after all that have one, in the order of writing.
  static let unsent: UInt64 = 1 << 62

  package var message: Message
  /// SHA-256 of the ciphertext that carried it.
  var hash: [UInt8]
  /// The encoded MIMI content.
  var content: [UInt8]
  var isOwn: Bool
  /// Where it stands among the room's messages.
  var position: UInt64

  init(message: Message, hash: [UInt8], content: [UInt8], isOwn: Bool, position: UInt64) {
    (self.message, self.hash, self.content) = (message, hash, content)
    (self.isOwn, self.position) = (isOwn, position)
  }

  package init(from reader: inout Reader) throws(WireError) {
    let id = Message.ID(bytes: try reader.readVector(max: 64))
    let room = try RoomID(from: &reader)
    let person = Person(id: try UserID(from: &reader), username: try reader.readString())
    let text = try reader.readString(max: Limits.message)
    let sentAt = Moment(millisecondsSince1970: try reader.readUInt64())
    let receivedAt = Moment(millisecondsSince1970: try reader.readUInt64())
    let sequence = try reader.readBool() ? try reader.readUInt64() : nil
    guard let state = Message.State(rawValue: try reader.readString()) else { throw WireError(.invalidValue) }
    message = Message(
      id: id, room: room, sender: person, text: text, sentAt: sentAt, receivedAt: receivedAt, sequence: sequence,
      state: state)
    hash = try reader.readVector(max: 64)
    content = try reader.readVector(max: Limits.message)
    isOwn = try reader.readBool()
    position = try reader.readUInt64()
  }

  package func encode(into writer: inout Writer) {
    writer.writeVector(message.id.bytes)
    writer.write(message.room)
    writer.write(message.sender.id)
    writer.write(message.sender.username)
    writer.write(message.text)
    writer.write(message.sentAt.millisecondsSince1970)
    writer.write(message.receivedAt.millisecondsSince1970)
    writer.write(message.sequence != nil)
    if let sequence = message.sequence { writer.write(sequence) }
    writer.write(message.state.rawValue)
    writer.writeVector(hash)
    writer.writeVector(content)
    writer.write(isOwn)
    writer.write(position)
  }
}

/// Ciphertext that is to reach the relay, exactly once.
package struct OutboxEntry: WireCodable {
  package enum Route: UInt8, Sendable {
    case message = 1
    case leave = 2
  }

  /// The order of sending; 0 before it is stored.
  package var number: UInt64
  package var room: RoomID
  var route: Route
  /// The same for each try with these bytes.
  var sendID: SendID
  var epoch: UInt64
  var ciphertext: [UInt8]
  /// SHA-256 of the ciphertext, by which the entry is recognised in the log.
  var hash: [UInt8]
  var message: Message.ID?

  init(
    room: RoomID, route: Route, sendID: SendID, epoch: UInt64, ciphertext: [UInt8], hash: [UInt8], message: Message.ID?
  ) {
    (self.number, self.room, self.route, self.sendID) = (0, room, route, sendID)
    (self.epoch, self.ciphertext, self.hash, self.message) = (epoch, ciphertext, hash, message)
  }

  package init(from reader: inout Reader) throws(WireError) {
    number = try reader.readUInt64()
    room = try RoomID(from: &reader)
    guard let route = Route(rawValue: try reader.readUInt8()) else { throw WireError(.invalidValue) }
    self.route = route
    sendID = try SendID(from: &reader)
    epoch = try reader.readUInt64()
    ciphertext = try reader.readVector(max: Limits.message)
    hash = try reader.readVector(max: 64)
    message = try reader.readBool() ? Message.ID(bytes: try reader.readVector(max: 64)) : nil
  }

  package func encode(into writer: inout Writer) {
    writer.write(number)
    writer.write(room)
    writer.write(route.rawValue)
    writer.write(sendID)
    writer.write(epoch)
    writer.writeVector(ciphertext)
    writer.writeVector(hash)
    writer.write(message != nil)
    if let message { writer.writeVector(message.bytes) }
  }
}

/// A finding in the store's encoding.
struct StoredFinding: WireCodable {
  let finding: Finding

  init(_ finding: Finding) { self.finding = finding }

  init(from reader: inout Reader) throws(WireError) {
    let code = Finding.Code(rawValue: try reader.readString())
    let room = try reader.readBool() ? try RoomID(from: &reader) : nil
    let person =
      try reader.readBool() ? Person(id: try UserID(from: &reader), username: try reader.readString()) : nil
    let sequence = try reader.readBool() ? try reader.readUInt64() : nil
    let at = Moment(millisecondsSince1970: try reader.readUInt64())
    finding = Finding(
      code: code, room: room, person: person, sequence: sequence, at: at, detail: try reader.readString())
  }

  func encode(into writer: inout Writer) {
    writer.write(finding.code.rawValue)
    writer.write(finding.room != nil)
    if let room = finding.room { writer.write(room) }
    writer.write(finding.person != nil)
    if let person = finding.person {
      writer.write(person.id)
      writer.write(person.username)
    }
    writer.write(finding.sequence != nil)
    if let sequence = finding.sequence { writer.write(sequence) }
    writer.write(finding.at.millisecondsSince1970)
    writer.write(finding.detail)
  }
}
