import RelayProtocol

extension HubMachine {
  /// A socket on this loop, by number. Numbers are not used again.
  typealias Connection = Int

  /// What the hub is told.
  enum Event {
    case opened(Connection)
    /// The answer to ``Action/authenticate``, or that of the upgrade request's header.
    case authenticated(Connection, Result<Caller, RelayError>)
    case frame(Connection, ClientFrame)
    /// Bytes that are no frame.
    case garbage(Connection)
    /// The answer to ``Action/survey``: the caller's rooms.
    case surveyed(Connection, ticket: UInt64, Result<[RoomResponse], RelayError>)
    /// The answer to ``Action/read``.
    case page(Connection, ticket: UInt64, Result<LogResponse, RelayError>)
    /// The answer to ``Action/append``: on disk, or refused.
    case appended(Connection, requestID: UInt32, Result<Appended, RelayError>)
    /// What the bus brought at once.
    case wakes([Wake])
    /// Much waits to be sent to the connection.
    case slow(Connection)
    case drained(Connection)
    /// More waits than the relay keeps for one connection.
    case overrun(Connection)
    case closed(Connection)
    /// Time has gone by.
    case tick
  }

  /// What the hub is to do.
  enum Action {
    case send(RelayFrame, to: Connection)
    /// The same entries of one room, in order, to each of its followers.
    case broadcast([StoredEntry], to: [Connection])
    case push([StoredEntry], to: Connection)
    case authenticate(Connection, token: String)
    case survey(Connection, ticket: UInt64, Caller)
    case read(Connection, ticket: UInt64, RoomCursor, Caller)
    case append(Connection, requestID: UInt32, NewMessage)
    /// Have entries read that another node stored; they come as wakes.
    case fetch(RoomID, after: UInt64)
    /// Stop reading from the connection, until ``resume``.
    case pause(Connection)
    case resume(Connection)
    /// Nothing more is said about the connection.
    case close(Connection, CloseCode)
  }

  struct Bounds: Sendable {
    var authenticationTimeout: UInt64 = 10_000
    var framesPerSecond = 500
    var frameBurst = 2000
    /// Rooms that one connection follows.
    var followedRooms = 2 * Limits.cursorsPerFollow
    /// `follow` frames of one connection that wait for their turn.
    var waitingFollows = 16
    /// Sends of one connection on their way to the disk, before it is paused.
    var sendsInFlight = 256
    /// How long a connection may lag before it is closed.
    var slowness: UInt64 = 15_000
    /// How long an entry may be missing before followers read the store again.
    var gap: UInt64 = 500
    /// Whether other nodes store entries too: what is missing then is fetched at once.
    var isShared = false
    /// How long an entry may not be found by fetching before followers read the store themselves.
    var lostGap: UInt64 = 15_000
  }
}
