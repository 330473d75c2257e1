import Networking
import RelayProtocol
import WireCodec

/// An entry that is on disk, with its frame: encoded once, shared by all its recipients on all loops.
struct StoredEntry: Sendable {
  let entry: LogEntry
  let frame: SharedBytes
  /// Accounts whose membership ended with this entry: the last that they are sent.
  let removed: [UserID]

  init(_ entry: LogEntry, removed: [UserID] = []) {
    self.entry = entry
    self.removed = removed
    frame = .webSocketFrame(binary: RelayFrame.entry(entry).encoded)
  }
}
