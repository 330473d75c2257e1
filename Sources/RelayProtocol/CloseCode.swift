/// Why the relay closed a socket, in the private range of RFC 6455 section 7.4.2, and what the client does next.
public struct CloseCode: Hashable, Sendable {
  public let number: UInt16
  public let remedy: Remedy

  public enum Remedy: Sendable {
    /// Connect again after a jittered pause and resume from the cursors.
    case reconnect
    /// Get a fresh access token, then connect again.
    case refreshToken
    /// Stop: the session is over, and a person must log in.
    case logIn
    /// Stop: this client breaks the protocol, and trying again would not help.
    case giveUp
  }

  public static let goingAway = CloseCode(number: 1001, remedy: .reconnect)
  public static let protocolViolation = CloseCode(number: 4000, remedy: .giveUp)
  public static let tokenRejected = CloseCode(number: 4001, remedy: .refreshToken)
  public static let tokenExpired = CloseCode(number: 4002, remedy: .refreshToken)
  public static let sessionEnded = CloseCode(number: 4003, remedy: .logIn)
  /// The client reads too slowly: what it missed waits in the log.
  public static let tooSlow = CloseCode(number: 4004, remedy: .reconnect)
  public static let tooManyConnections = CloseCode(number: 4005, remedy: .reconnect)
  public static let unsupportedVersion = CloseCode(number: 4006, remedy: .giveUp)

  public static let all: [CloseCode] = [
    .goingAway, .protocolViolation, .tokenRejected, .tokenExpired, .sessionEnded, .tooSlow, .tooManyConnections,
    .unsupportedVersion,
  ]

  /// What a client does after a close with this number; unknown numbers mean to reconnect.
  public static func remedy(for number: UInt16) -> Remedy {
    all.first { $0.number == number }?.remedy ?? .reconnect
  }
}
