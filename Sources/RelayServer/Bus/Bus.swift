import RelayProtocol

/// Something that changed in the store, for whoever serves those it concerns.
///
/// The store is the truth and a wake only says "look": a lost one delays, and loses nothing. Within one process the new
/// entry rides along, so that a broadcast costs no read.
enum Wake: Sendable {
  /// An entry is on disk.
  case stored(StoredEntry)
  /// Something outside of the logs waits for these devices.
  case look(RelayFrame.Subject, [DeviceID])
  /// A session ended: its sockets close.
  case sessionEnded(UInt64)
  /// These devices left their account's list: so did their sessions.
  case devicesGone([DeviceID])
  /// Another node stored entries of the room up to this one: whoever serves the room reads them.
  case grown(RoomID, last: UInt64)
  /// Somebody who is not to be believed says that these have ended: ask the store.
  case doubted(Doubt)
  /// Wakes of other nodes may have been lost: look at all that is served.
  case everything
  /// A frame for all sockets of these users. A hint: what it says can be asked for as well.
  case tell(RelayFrame, [UserID])
  /// What others see of these people may have changed. Those who are connected here are told by ``tell(_:_:)``.
  case changed([PersonNews])
  /// Another node says so: whoever serves those who may know looks at the store, and tells them what stands there.
  case rumoured([PersonNews])
  /// What others said of people may have been lost here: may they say it again.
  case asks
  /// Another node asks for that.
  case asked
}

/// What others see of a person.
enum PersonNews: Sendable, Hashable {
  case presence(UserID)
  case profile(UserID)
}

/// What may have ended.
struct Doubt: Sendable, Equatable {
  var sessions: Set<UInt64> = []
  var devices: Set<DeviceID> = []

  var isEmpty: Bool { sessions.isEmpty && devices.isEmpty }
}

/// Carries wakes to all who serve clients.
protocol Bus: Sendable {
  /// Passes wakes on. Callable from any thread; wakes of one publisher arrive in order.
  func publish(_ wakes: [Wake])
}

protocol BusListener: AnyObject, Sendable {
  /// Called on the publisher's thread: must only hand on.
  func hear(_ wakes: [Wake])
}
