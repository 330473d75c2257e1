import RelayProtocol
import WireCodec

/// A running hash of the order in which a room's log was taken in. Its head rides inside messages, so that members who
/// were shown different histories find out when they talk (design, section 3).
///
/// The chain starts anew with each epoch, from what all its members know and the relay does not: whoever joins has the
/// same chain from there on.
struct RoomOrder: Hashable, WireCodable {
  /// The chain's value after the entry of that sequence, cut to 16 bytes.
  struct Head: Hashable, WireCodable {
    var sequence: UInt64
    var hash: [UInt8]

    init(sequence: UInt64, hash: [UInt8]) { (self.sequence, self.hash) = (sequence, hash) }

    init(from reader: inout Reader) throws(WireError) {
      sequence = try reader.readUInt64()
      hash = try reader.readVector(max: 16)
    }

    func encode(into writer: inout Writer) {
      writer.write(sequence)
      writer.writeVector(hash)
    }
  }

  static let kept = 64

  /// Empty where the chain's beginning is not known, as after the relay lost history: then nothing is claimed.
  private(set) var value: [UInt8] = []
  /// The latest heads, the newest last.
  private(set) var heads: [Head] = []

  var head: Head? { heads.last }

  /// Begins with an epoch that the entry of this sequence has begun.
  init(authenticator: [UInt8], sequence: UInt64) { begin(authenticator: authenticator, sequence: sequence) }

  init() {}

  init(from reader: inout Reader) throws(WireError) {
    value = try reader.readVector(max: 64)
    heads = try reader.readList(max: 64 * Self.kept)
  }

  func encode(into writer: inout Writer) {
    writer.writeVector(value)
    writer.writeList(heads)
  }

  mutating func begin(authenticator: [UInt8], sequence: UInt64) {
    var writer = Writer()
    writer.write("Kin 1.0 order")
    writer.writeVector(authenticator)
    writer.write(sequence)
    move(to: ClientContext.hash(writer.bytes), sequence)
  }

  mutating func take(_ entry: LogEntry, hash: [UInt8]) {
    guard !value.isEmpty else { return }
    var writer = Writer()
    writer.writeVector(value)
    writer.write(entry.sequence)
    writer.write(entry.epoch)
    // What was erased is in the chain as what it was.
    writer.write((entry.kind == .erased ? .application : entry.kind).rawValue)
    writer.writeVector(hash)
    move(to: ClientContext.hash(writer.bytes), entry.sequence)
  }

  private mutating func move(to value: [UInt8], _ sequence: UInt64) {
    self.value = value
    heads.append(Head(sequence: sequence, hash: Array(value.prefix(16))))
    if heads.count > Self.kept { heads.removeFirst(heads.count - Self.kept) }
  }

  /// Whether another member's head, in the message at this place of the log, contradicts what was seen here. What is too
  /// long ago contradicts nothing.
  func contradicts(_ other: Head, in sequence: UInt64) -> Bool {
    guard !value.isEmpty else { return false }
    // Nobody writes before having read: here is less in front of the message than its writer had seen.
    if other.sequence >= sequence { return true }
    return heads.last { $0.sequence == other.sequence }.map { $0.hash != other.hash } ?? false
  }
}
