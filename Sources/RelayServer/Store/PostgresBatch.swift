import CryptoPrimitives
import RelayProtocol
import Storage

/// Messages that one transaction stores: what it must ask, what the answers mean, and what it writes.
///
/// Decides only: ``PostgresLog`` asks and writes. All that it decides by was read in the transaction, whose locks keep it true.
struct PostgresBatch {
  /// A room's row, locked.
  struct Room {
    let key: Int64
    let epoch: UInt64
    var last: UInt64
    var isChanged = false
  }

  /// A device that sends to a room.
  struct Sender {
    let device: Int64
    let user: UserID
    let isMember: Bool
  }

  /// What is stored under a send id.
  struct Earlier {
    let sequence: UInt64
    let time: UInt64
    /// Nil where it is no more.
    let room: RoomID?
    /// Of the entry, if it is still kept.
    let content: (kind: UInt64, epoch: UInt64, digest: [UInt8])?
  }

  /// A row to be written.
  struct Entry {
    let message: Int
    let room: Int64
    let device: Int64
    let sequence: UInt64
  }

  private struct Pair: Hashable {
    let device: DeviceID
    let room: RoomID
  }

  private struct Send: Hashable {
    let device: DeviceID
    let id: SendID
  }

  let messages: [NewMessage]
  private let incarnation: UInt64
  /// What the database is asked about: rooms, devices with the rooms that they send to, and messages by their send ids.
  private(set) var roomIDs: [RoomID] = []
  private(set) var devices: [DeviceID] = []
  private(set) var deviceRooms: [RoomID] = []
  private(set) var asked: [Int] = []
  private var pairs: [Pair: Int] = [:]
  private var pairOfMessage: [Int] = []
  /// What it answered.
  var rooms: [RoomID: Room] = [:]
  var senders: [Int: Sender] = [:]
  var earlier: [Int: Earlier] = [:]
  /// What follows.
  private(set) var outcomes: [Result<Appended, RelayError>?]
  private(set) var entries: [Entry] = []
  /// Whether something was refused by what the database says.
  private(set) var refusesAny = false

  init(_ messages: [NewMessage], incarnation: UInt64) {
    (self.messages, self.incarnation) = (messages, incarnation)
    outcomes = Array(repeating: nil, count: messages.count)
    pairOfMessage = Array(repeating: 0, count: messages.count)
    var seen: Set<RoomID> = []
    for (index, message) in messages.enumerated() {
      do throws(RelayError) { try MessageRules.check(message.request) } catch {
        outcomes[index] = .failure(error)
        continue
      }
      let pair = Pair(device: message.device, room: message.room)
      if let known = pairs[pair] {
        pairOfMessage[index] = known
      } else {
        pairOfMessage[index] = devices.count
        pairs[pair] = devices.count
        devices.append(message.device)
        deviceRooms.append(message.room)
        if seen.insert(message.room).inserted { roomIDs.append(message.room) }
      }
      asked.append(index)
    }
  }

  /// Decides every message, in order, once the answers are in.
  mutating func decide() {
    var stored: [Send: Int] = [:]
    for index in asked {
      let message = messages[index]
      do throws(RelayError) {
        guard let sender = senders[pairOfMessage[index]], sender.user == message.sender else {
          throw RelayError(.deviceUnknown, "The device is not in the account's list.")
        }
        // What was accepted once stays accepted, even if the epoch has moved or the membership has ended since.
        if let earlier = earlier[index], earlier.room == message.room || rooms[message.room] != nil {
          outcomes[index] = .success(try outcome(of: earlier, for: message))
          continue
        }
        let send = Send(device: message.device, id: message.request.sendID)
        if let twin = stored[send] {
          outcomes[index] = .success(try repeated(twin, by: message))
          continue
        }
        guard var room = rooms[message.room], sender.isMember else { throw RelayError.noSuchRoom }
        try MessageRules.check(message.request.kind, epoch: message.request.epoch, roomEpoch: room.epoch)
        let (sequence, isFull) = room.last.addingReportingOverflow(1)
        guard !isFull, sequence <= UInt64(Int64.max) else { throw RelayError(.internalError, "The log is full.") }
        (room.last, room.isChanged) = (sequence, true)
        rooms[message.room] = room
        stored[send] = index
        entries.append(Entry(message: index, room: room.key, device: sender.device, sequence: sequence))
        outcomes[index] = .success(
          Appended(
            response: response(sequence, message.now),
            entry: LogEntry(
              room: message.room, sequence: sequence, kind: message.request.kind, epoch: message.request.epoch,
              time: message.now, message: message.request.message.bytes)))
      } catch {
        outcomes[index] = .failure(error)
        refusesAny = true
      }
    }
  }

  private func outcome(of earlier: Earlier, for message: NewMessage) throws(RelayError) -> Appended {
    let request = message.request
    var isSame = earlier.room == message.room
    // An entry that is no longer kept cannot be compared; its place in the log is answer enough.
    if isSame, let content = earlier.content, content.kind != UInt64(EntryKind.erased.rawValue) {
      isSame =
        content.kind == UInt64(request.kind.rawValue) && content.epoch == request.epoch
        && content.digest == Digest.hash(.sha256, request.message.bytes)
    }
    guard isSame else { throw RelayError(.sendIDReused, "The send id names another message.") }
    return Appended(response: response(earlier.sequence, earlier.time), entry: nil)
  }

  /// A send id that stands twice in this batch.
  private func repeated(_ first: Int, by message: NewMessage) throws(RelayError) -> Appended {
    guard messages[first].room == message.room, messages[first].request == message.request,
      case .success(let appended)? = outcomes[first]
    else { throw RelayError(.sendIDReused, "The send id names another message.") }
    return Appended(response: appended.response, entry: nil)
  }

  private func response(_ sequence: UInt64, _ time: UInt64) -> SendResponse {
    SendResponse(position: StreamPosition(incarnation: incarnation, sequence: sequence), time: time)
  }
}

/// What holds for a message wherever it is stored.
enum MessageRules {
  static func check(_ request: SendRequest) throws(RelayError) {
    guard request.kind.isSent else { throw RelayError(.invalidRequest, "A commit has its own route.") }
    try checkSize(request.message.bytes, max: Limits.message)
  }

  static func checkSize(_ bytes: [UInt8], max: Int) throws(RelayError) {
    guard !bytes.isEmpty else { throw RelayError(.invalidRequest, "The message is empty.") }
    guard bytes.count <= max else { throw RelayError(.tooLarge, "The message is too large.") }
  }

  static func check(_ kind: EntryKind, epoch: UInt64, roomEpoch: UInt64) throws(RelayError) {
    guard epoch <= roomEpoch else { throw RelayError(.epochUnknown, "The epoch lies in the room's future.") }
    if kind == .proposal {
      guard epoch == roomEpoch else { throw RelayError(.epochConflict, "The proposal is for an epoch that ended.") }
    } else {
      guard roomEpoch - epoch <= Limits.pastEpochs else { throw RelayError(.epochStale, "The epoch is too old.") }
    }
  }
}
