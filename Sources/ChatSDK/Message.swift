public import RelayProtocol

/// A message of a room, as this client knows it.
public struct Message: Sendable, Hashable, Identifiable {
  /// The message's own id, which stands inside the encryption (draft-ietf-mimi-content, section 3.1).
  public struct ID: Sendable, Hashable, CustomStringConvertible {
    public let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Lower-case hexadecimal.
    public var text: String {
      let digits = Array("0123456789abcdef".utf8)
      return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    public var description: String { text }
  }

  public enum State: String, Sendable, Hashable {
    /// In the outbox: it goes out, exactly once, when the relay can be reached.
    case pending
    /// On the relay's disk.
    case sent
    /// Another's.
    case received
    /// Given up, for the reason that ``ChatClient/diagnose()`` tells.
    case failed
  }

  public var id: ID
  public var room: RoomID
  /// Who sealed it, as the MLS leaf proves; never the relay's word.
  public var sender: Person
  /// The text as it was sent: may hold any Unicode, so a terminal must make it harmless before it shows it.
  public var text: String
  /// By the sender's clock, which nobody checks.
  public var sentAt: Moment
  /// When this client read it, or for its own when it was written.
  public var receivedAt: Moment
  /// The place in the room's agreed order; `nil` while the relay has not accepted it.
  public var sequence: UInt64?
  public var state: State

  public init(
    id: ID, room: RoomID, sender: Person, text: String, sentAt: Moment, receivedAt: Moment, sequence: UInt64?,
    state: State
  ) {
    (self.id, self.room, self.sender, self.text) = (id, room, sender, text)
    (self.sentAt, self.receivedAt, self.sequence, self.state) = (sentAt, receivedAt, sequence, state)
  }
}
