import Networking
import Observability
import RelayProtocol
import WireCodec

/// An entry that is on disk, with its frame: encoded once for all its recipients on all loops.
struct StoredEntry: Sendable {
  let entry: LogEntry
  let frame: SharedBytes
  /// Accounts whose membership ended with this entry: the last that they are sent.
  let removed: [UserID]
  /// When it was on disk, by ``Monotonic``.
  let stored = Monotonic.nanoseconds

  init(_ entry: LogEntry, removed: [UserID] = []) {
    self.entry = entry
    self.removed = removed
    var writer = Writer(reserving: entry.message.bytes.count + 64)
    writer.write(RelayFrame.entry(entry))
    frame = .webSocketFrame(binary: writer.bytes)
  }
}
