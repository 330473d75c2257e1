import Content
import CryptoPrimitives
import FoundationEssentials
import RelayProtocol
import WireCodec

@testable import ChatSDK

extension Target {
  /// What the SDK itself reads of what members, joiners and relays say, and of its own store: the room's state, doors, links,
  /// envelopes, lists, records; the machine that follows the log; and the rules by which commits are judged.
  static let sdk = Target(
    name: "sdk",
    run: { input in
      guard let first = input.first else { return }
      FixedRandom.restart()
      SDKReader.all[Int(first) % SDKReader.all.count].run(Array(input.dropFirst()))
    },
    seeds: sdkSeeds)
}

/// One thing that the SDK reads. New ones go to the end, so that old inputs keep their meaning.
struct SDKReader: Sendable {
  let name: String
  let run: @Sendable ([UInt8]) -> Void

  static let all: [SDKReader] = [
    wire(JoinAuthority.self), wire(Revocations.self), wire(DeviceCredential.self), wire(DeletionProof.self),
    wire(Pin.self), wire(RoomRecord.self), wire(MessageRecord.self), wire(OutboxEntry.self), wire(PendingRecord.self),
    wire(PendingJoinRecord.self), wire(KeyPackageRecord.self), wire(AccountRecord.self), wire(SessionRecord.self),
    wire(StoredFinding.self), wire(ContactRecord.self), wire(ProfileRecord.self),
    SDKReader(name: "state", run: readRoomState), SDKReader(name: "door", run: readDoor),
    SDKReader(name: "join", run: readSealedJoin), SDKReader(name: "link", run: readLink),
    SDKReader(name: "envelope", run: readEnvelope), SDKReader(name: "lists", run: readLists),
    SDKReader(name: "log", run: followLog), SDKReader(name: "json", run: readAnswer),
    SDKReader(name: "rules", run: judgeCommit),
  ]

  static func number(_ name: String) -> UInt8 {
    guard let place = all.firstIndex(where: { $0.name == name }) else { found("there is no reader \(name)") }
    return UInt8(place)
  }

  private static func wire<Value: WireCodable>(_ type: Value.Type) -> SDKReader {
    SDKReader(name: "\(type)") { again(type, $0) }
  }

  // MARK: The room

  private static func readRoomState(_ bytes: [UInt8]) {
    guard let state = again(RoomState.self, bytes) else { return }
    require(RoomState.of(state.extensions) == state, "a state is another as an extension")
    require(state.invites.count <= Limits.invitesPerRoom, "more links than a room has")
    require(state.roles.values.allSatisfy { $0 != .member }, "a role that is none")
  }

  private static func readDoor(_ bytes: [UInt8]) {
    guard let door = again(Door.self, bytes) else { return }
    _ = try? door.open(fixedInvite, room: fixedRoom, epoch: 7)
    _ = try? door.open(reentry: fixedSecret, room: fixedRoom, epoch: 7)
  }

  private static func readSealedJoin(_ bytes: [UInt8]) {
    let key = Secret(copying: fixedSecret)
    if SealedJoin.open(bytes, key: { key }, room: fixedRoom, epoch: 7) != nil {
      require(SealedJoin.isSealedJoin(bytes), "a join that does not look like one was opened")
    }
    let entry = LogEntry(room: fixedRoom, sequence: 1, kind: .commit, epoch: 7, time: 0, message: bytes)
    _ = EntryHeader.fits(entry, room: fixedRoom)
    guard let sealed = try? SealedJoin.seal(bytes, key: key, room: fixedRoom, epoch: 7) else { found("not sealed") }
    require(SealedJoin.open(sealed, key: { key }, room: fixedRoom, epoch: 7) == bytes, "a join is another once opened")
    require(SealedJoin.open(sealed, key: { key }, room: fixedRoom, epoch: 8) == nil, "a join was moved")
  }

  private static func readLink(_ bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self), let link = try? InviteLink(text) else { return }
    guard let same = try? InviteLink(InviteLink(relay: "https://relay.example", link.secret).text) else {
      found("a link cannot be written")
    }
    require(same.id == link.id && same.secret.secret == link.secret.secret, "a link is another once written")
  }

  // MARK: What members say

  private static func readEnvelope(_ bytes: [UInt8]) {
    for sealed in [bytes, Envelope.pad(bytes)] {
      guard let opened = try? Envelope.open(sealed) else { continue }
      require(opened.content.encoded == opened.encoded, "content has two encodings")
      guard let id = try? Envelope.id(opened.encoded, salt: opened.content.salt, sender: fixedUser, room: fixedRoom)
      else { found("a message without an id") }
      if let head = opened.order {
        _ = RoomOrder(authenticator: fixedSecret, sequence: 3).contradicts(head, in: 4)
      }
      // What is put on disk must come off it, or nothing of the room could be shown any more.
      let message = Message(
        id: id, room: fixedRoom, sender: Person(id: fixedUser, username: "alice"), text: opened.content.plainText,
        sentAt: Moment(millisecondsSince1970: opened.sentAt), receivedAt: Moment(millisecondsSince1970: 1), sequence: 4,
        state: .received)
      let record = MessageRecord(
        message: message, hash: fixedSecret, content: opened.encoded, isOwn: false, position: 4)
      require(try MessageRecord(decoding: record.encoded).encoded == record.encoded, "a message that cannot be stored")
    }
  }

  /// Two lists of one account, both signed: what a relay may show one after the other.
  private static func readLists(_ bytes: [UInt8]) {
    var reader = Reader(bytes)
    guard let first = try? DeviceList(from: &reader), let second = try? DeviceList(from: &reader) else { return }
    let (old, new) = (signed(first), signed(second))
    let (outcome, pinned) = Pin.weigh(old, username: "alice", expecting: nil, pinned: nil)
    guard outcome == .first, let pinned else { found("a signed list was refused") }
    require(try Pin(decoding: pinned.encoded) == pinned, "a pin that cannot be stored")
    let (then, after) = Pin.weigh(new, username: "alice", expecting: old.list.user, pinned: pinned)
    if case .newer = then {
      require(new.list.number > old.list.number && new.list.user == old.list.user, "a list went back")
      require(after?.accountKey == pinned.accountKey, "another account was pinned")
    } else {
      require(after == nil, "an old list was pinned")
    }
    for entry in first.devices {
      let leaf = CommitClaim.Leaf(
        user: first.user, device: entry.device, signatureKey: entry.signatureKey, accountKey: old.list.accountKey,
        added: entry.added, invite: nil)
      if new.revokes(leaf) { require(!new.list.devices.contains(entry), "a listed device counts as revoked") }
    }
  }

  // MARK: What relays say

  /// Pages and pushed entries in any order, of any numbers: each is taken once, in order, without a gap.
  private static func followLog(_ bytes: [UInt8]) {
    var reader = Reader(bytes)
    guard let start = try? reader.readUInt64(), var position = try? StreamPosition(from: &reader) else { return }
    position.sequence = start
    var machine = SyncMachine(position: position)
    var order = RoomOrder(authenticator: fixedSecret, sequence: start)
    while let step = try? reader.readUInt8() {
      let before = machine.position
      switch step % 3 {
      case 0:
        guard let newest = try? StreamPosition(from: &reader) else { return }
        for case .restart(let position) in machine.heard(newest) {
          require(position.sequence == 0 && newest.incarnation != before.incarnation, "a log began anew in itself")
          order = RoomOrder()
        }
      default:
        var entries: [LogEntry] = []
        for _ in 0..<step / 3 {
          guard let offset = try? reader.readUInt8() else { break }
          let far = offset == 255 ? (try? reader.readUInt64()) ?? 0 : before.sequence &+ UInt64(offset % 8)
          entries.append(
            LogEntry(room: fixedRoom, sequence: far, kind: .application, epoch: 1, time: 0, message: [offset]))
        }
        for action in machine.received(entries) {
          guard case .process(let taken) = action else { continue }
          for entry in taken {
            require(entry.sequence == machine.position.sequence &+ 1, "an entry was taken out of its order")
            machine.took(entry.sequence)
            require(machine.position.sequence == entry.sequence, "an entry was not taken")
            order.take(entry, hash: fixedSecret)
          }
        }
      }
      require(order.heads.count <= RoomOrder.kept, "an order without end")
      again(RoomOrder.self, order.encoded)
    }
  }

  /// The relay's answers as JSON, and what is made of them at once.
  private static func readAnswer(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let data = Data(bytes.dropFirst())
    func read<Value: Decodable>(_ type: Value.Type) -> Value? { try? JSONDecoder().decode(type, from: data) }
    switch first % 8 {
    case 0:
      guard let problem = read(Problem.self) else { return }
      let error = ChatError(problem)
      require((error.retryAfter ?? .zero) >= .zero, "to be tried again in the past")
      require(error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "a relay's control character")
    case 1:
      for entry in read(LogResponse.self)?.entries ?? [] { _ = EntryHeader.fits(entry, room: fixedRoom) }
    case 2: _ = read(RoomsResponse.self)
    case 3: _ = read(WelcomesResponse.self)
    case 4:
      guard let info = read(GroupInfoResponse.self) else { return }
      _ = try? ChatClient.door(info)
    case 5:
      guard let user = read(UserResponse.self) else { return }
      _ = try? SignedDeviceList(decoding: user.deviceList.bytes)
      _ = user.profile.map { Profile($0) }
    case 6: _ = read(PollResponse.self)
    default: _ = read(SessionResponse.self)
    }
  }
}

@discardableResult
private func again<Value: WireCodable>(_ type: Value.Type, _ bytes: [UInt8]) -> Value? {
  guard let value = try? Value(decoding: bytes) else { return nil }
  require(value.encoded == bytes, "\(type) has two encodings")
  return value
}

let fixedRoom = RoomID(high: 1, low: 2)
private let fixedUser = UserID(high: 3, low: 4)
let fixedSecret = [UInt8](repeating: 7, count: 32)

private let account: SigningKey = {
  guard let key = try? SigningKey(seed: Secret(copying: fixedSecret)) else { found("no key") }
  return key
}()

private let fixedInvite: InviteSecret = {
  guard let secret = try? InviteSecret(id: InviteID(high: 5, low: 6), secret: Secret(copying: fixedSecret)) else {
    found("no link")
  }
  return secret
}()

/// The list as the account itself would sign it.
private func signed(_ list: DeviceList) -> SignedDeviceList {
  var list = list
  list.accountKey = account.publicKey
  guard let signature = try? account.sign(SignedDeviceList.signedBytes(of: list)) else { found("no signature") }
  return SignedDeviceList(list: list, signature: signature)
}

private func sdkSeeds() throws -> [Target.Seed] {
  FixedRandom.restart()
  var seeds: [Target.Seed] = []
  func add(_ reader: String, _ bytes: [UInt8], _ name: String = "") {
    seeds.append(
      Target.Seed(name: name.isEmpty ? reader : "\(reader)-\(name)", bytes: [SDKReader.number(reader)] + bytes))
  }
  let device = DeviceEntry(
    device: DeviceID(high: 8, low: 9), signatureKey: account.publicKey, name: "lap", added: 5)
  let list = DeviceList(
    user: fixedUser, accountKey: account.publicKey, number: 1, previous: [], issued: 6, devices: [device])
  let first = signed(list)
  let second = signed(
    DeviceList(
      user: fixedUser, accountKey: account.publicKey, number: 2, previous: Digest.hash(.sha256, first.encoded),
      issued: 7, devices: []))
  let leaf = CommitClaim.Leaf(
    user: fixedUser, device: device.device, signatureKey: account.publicKey, accountKey: account.publicKey, added: 5,
    invite: nil)
  let person = Person(id: fixedUser, username: "alice")
  let position = StreamPosition(incarnation: 3, sequence: 4)

  var state = RoomState(
    settings: RoomSettings(name: "Garden"),
    roles: [fixedUser: .owner, UserID(high: 9, low: 1): .admin, UserID(high: 0, low: 1): .admin])
  state.settings.topic = "tomatoes"
  (state.settings.joinPolicy, state.settings.history) = (.ask, .days(7))
  state.banned = [UserID(high: 4, low: 4), UserID(high: 1, low: 9)]
  state.invites[fixedInvite.id] = fixedInvite.keys(madeBy: fixedUser, expires: 1000, uses: 3)
  add("state", state.encoded)
  add(
    "state",
    RoomState(
      settings: RoomSettings(name: ""), roles: [:], pair: RoomPair(fixedUser, UserID(high: 9, low: 1))
    ).encoded, "pair")
  let inside = Door.Inside(groupInfo: [1, 2, 3], key: Secret(copying: fixedSecret))
  let door = try Door(inside, state: state, room: fixedRoom, epoch: 7)
  add("door", door.encoded)
  add("join", try SealedJoin.seal([1, 2, 3], key: Secret(copying: fixedSecret), room: fixedRoom, epoch: 7))
  add("link", Array(InviteLink(relay: "https://relay.example", fixedInvite).text.utf8))
  add("JoinAuthority", try JoinAuthority.invite(fixedInvite, leaf, room: fixedRoom, epoch: 7).encoded, "invite")
  add("JoinAuthority", JoinAuthority.reentry(fixedSecret, leaf, room: fixedRoom, epoch: 7).encoded, "reentry")
  add("Revocations", Revocations([second]).encoded)
  add("DeviceCredential", try DeviceCredential.make(user: fixedUser, entry: device, accountKey: account).encoded)
  let proof = Writer.of { writer in
    writer.write(fixedUser)
    writer.write(device.device)
    writer.writeVector([UInt8](repeating: 1, count: 64))
  }
  add("DeletionProof", proof)

  var pin = Pin(username: "alice", list: first)
  pin.candidate = second
  add("Pin", pin.encoded)
  var room = RoomRecord(
    room: fixedRoom, name: "Garden", memberCount: 2, epoch: 7, position: position, authenticator: fixedSecret, now: 9)
  (room.refused, room.leaving) = (5, [fixedUser])
  room.followed = [FollowedCommit(epoch: 6, hash: fixedSecret)]
  let id = Message.ID(bytes: [1] + [UInt8](repeating: 3, count: 31))
  room.promises = [RelayPromise(sequence: 5, hash: fixedSecret, message: id)]
  add("RoomRecord", room.encoded)
  let message = Message(
    id: id, room: fixedRoom, sender: person, text: "Hello", sentAt: Moment(millisecondsSince1970: 1),
    receivedAt: Moment(millisecondsSince1970: 2), sequence: 4, state: .sent)
  add(
    "MessageRecord",
    MessageRecord(message: message, hash: fixedSecret, content: [1, 2], isOwn: true, position: 4).encoded)
  add(
    "OutboxEntry",
    OutboxEntry(
      room: fixedRoom, route: .message, sendID: SendID(high: 1, low: 2), epoch: 7, ciphertext: [1, 2],
      hash: fixedSecret, message: id
    ).encoded)
  let commit = CommitRequest(
    sendID: SendID(high: 1, low: 2), epoch: 7, message: [1], welcome: nil, recipients: [], added: [], removed: [])
  add("PendingRecord", try PendingRecord(room: fixedRoom, request: commit, state: [1, 2]).encoded)
  let join = JoinRequest(sendID: SendID(high: 1, low: 2), epoch: 7, message: [1], invite: nil, groupInfo: nil)
  add(
    "PendingJoinRecord",
    try PendingJoinRecord(
      room: fixedRoom, name: "Garden", memberCount: 2, request: join, epochPart: [1], messagePart: [2]
    ).encoded)
  var package = KeyPackageRecord(reference: [1, 2], isLastResort: true, bundle: [3], expires: 9)
  package.open([4], now: 8)
  add("KeyPackageRecord", package.encoded)
  add(
    "AccountRecord",
    AccountRecord(
      user: fixedUser, username: "alice", device: device.device, deviceName: "lap", relay: "https://relay.example",
      accountSeed: fixedSecret, deviceSeed: fixedSecret, deviceList: first.encoded, isRegistered: true
    ).encoded)
  add("SessionRecord", SessionRecord(accessToken: "a.b.c", accessExpires: 5, refreshToken: "d").encoded)
  let finding = Finding(
    code: .withheld, room: fixedRoom, person: person, sequence: 4, at: Moment(millisecondsSince1970: 1), detail: "x")
  add("StoredFinding", StoredFinding(finding).encoded)
  add("ContactRecord", ContactRecord(user: fixedUser, username: "alice", state: .accepted).encoded)
  add(
    "ProfileRecord",
    ProfileRecord(user: fixedUser, profile: Profile(displayName: "Alice"), fetched: 3).encoded)

  let head = RoomOrder(authenticator: fixedSecret, sequence: 3).head
  let text = try Envelope.text("Hello", sentAt: 1000, order: head).encoded
  add("envelope", text)
  add("envelope", Envelope.pad(text), "padded")
  add("lists", first.list.encoded + second.list.encoded)
  var log = Writer()
  log.write(UInt64(4))
  log.write(position)
  log.writeBytes([0])
  log.write(StreamPosition(incarnation: 3, sequence: 9))
  log.writeBytes([13, 1, 2, 3, 5, 7, 1, 0])
  log.write(StreamPosition(incarnation: 9, sequence: 2))
  add("log", log.bytes)
  let answers: [any Encodable] = [
    Problem(.rateLimited, title: "too many", retryAfter: 1.5),
    LogResponse(
      entries: [LogEntry(room: fixedRoom, sequence: 5, kind: .commit, epoch: 7, time: 1, message: [0, 1, 0, 2])],
      last: position, epoch: 7),
  ]
  for (place, answer) in answers.enumerated() {
    add("json", [UInt8(place)] + Array(try JSONEncoder().encode(answer)), "\(place)")
  }
  for (name, bytes) in commitSeeds() { add("rules", bytes, name) }
  return seeds
}

extension Writer {
  fileprivate static func of(_ body: (inout Writer) -> Void) -> [UInt8] {
    var writer = Writer()
    body(&writer)
    return writer.bytes
  }
}
