/// What went wrong on the network, as one value: a code to decide by and a static text that is safe to log.
///
/// Two errors are equal when their codes are. No text comes from a peer, so an error can go to a log or a terminal as it is.
package struct NetworkError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What happened.
  ///
  /// A struct and not an enum, so that a new code breaks nobody.
  package struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package var description: String { rawValue }

    package static let addressInUse = Code(rawValue: "addressInUse")
    package static let cancelled = Code(rawValue: "cancelled")
    package static let closed = Code(rawValue: "closed")
    package static let dnsFailed = Code(rawValue: "dnsFailed")
    package static let internalError = Code(rawValue: "internalError")
    package static let invalidURL = Code(rawValue: "invalidURL")
    package static let misuse = Code(rawValue: "misuse")
    package static let protocolViolation = Code(rawValue: "protocolViolation")
    package static let refused = Code(rawValue: "refused")
    package static let slowConsumer = Code(rawValue: "slowConsumer")
    package static let timedOut = Code(rawValue: "timedOut")
    package static let tlsFailed = Code(rawValue: "tlsFailed")
    package static let tooLarge = Code(rawValue: "tooLarge")
    package static let unreachable = Code(rawValue: "unreachable")
    /// The server answered a WebSocket request with something else than 101; ``NetworkError/status`` says with what.
    package static let upgradeRefused = Code(rawValue: "upgradeRefused")
  }

  package let code: Code
  package let text: StaticString
  /// The HTTP status that goes with the error: what a server answered, or what a client that caused it should be told.
  package let status: Int?
  package let file: StaticString
  package let line: UInt

  package init(
    _ code: Code, _ text: StaticString, status: Int? = nil, file: StaticString = #fileID, line: UInt = #line
  ) {
    self.code = code
    self.text = text
    self.status = status
    self.file = file
    self.line = line
  }

  package static func == (left: NetworkError, right: NetworkError) -> Bool { left.code == right.code }

  /// Whether the same attempt may succeed later without anybody changing anything.
  package var isRetryable: Bool {
    switch code {
    case .closed, .dnsFailed, .refused, .slowConsumer, .timedOut, .unreachable: true
    case .upgradeRefused: status == 429 || (status ?? 0) >= 500
    default: false
    }
  }

  package var description: String {
    status.map { "\(code): \(text) (status \($0))" } ?? "\(code): \(text)"
  }
}
