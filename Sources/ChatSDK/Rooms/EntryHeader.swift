import RelayProtocol
import WireCodec

/// The part of a PrivateMessage that anybody can read (RFC 9420 section 6.3.1), against what the relay says of it.
enum EntryHeader {
  /// Whether an entry is what it is said to be: of this room, this epoch and this kind.
  static func fits(_ entry: LogEntry, room: RoomID) -> Bool {
    var reader = Reader(entry.message.bytes)
    guard (try? reader.readUInt16()) == 1, let format = try? reader.readUInt16(),
      format == 2 || format == SealedJoin.wireFormat, (try? reader.readVector(max: 256)) == room.bytes,
      (try? reader.readUInt64()) == entry.epoch
    else { return false }
    return (try? reader.readUInt8()) == entry.kind.rawContentType
  }
}

extension EntryKind {
  /// The ContentType of RFC 9420 section 6.
  fileprivate var rawContentType: UInt8? {
    switch self {
    case .application: 1
    case .proposal: 2
    case .commit: 3
    case .erased: nil
    }
  }
}
