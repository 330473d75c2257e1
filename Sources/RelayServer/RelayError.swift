import Networking
package import RelayProtocol

/// Why the relay refuses or fails. Two errors are equal if their codes are; texts are static, so every error is safe
/// to log and to send.
package struct RelayError: Error, Equatable, Sendable, CustomStringConvertible {
  package let code: RelayCode
  package let title: StaticString
  /// Seconds after which trying again makes sense, where that is known.
  package let retryAfter: Double?
  /// What the operator can do about it, where the error is for the operator: it is not sent to anybody.
  package let remedy: StaticString?
  package let file: StaticString
  package let line: UInt

  package init(
    _ code: RelayCode, _ title: StaticString, retryAfter: Double? = nil, remedy: StaticString? = nil,
    file: StaticString = #fileID, line: UInt = #line
  ) {
    (self.code, self.title, self.retryAfter, self.remedy) = (code, title, retryAfter, remedy)
    (self.file, self.line) = (file, line)
  }

  package static func == (left: RelayError, right: RelayError) -> Bool { left.code == right.code }
  /// Whether this is a bug of the relay's.
  package var isOurFault: Bool { code == .internalError }
  package var description: String { "\(code.text): \(title) (\(file):\(line))" }
}

extension RelayError {
  /// Why an address cannot be listened on.
  init(cannotListen error: any Error, remedy: StaticString) {
    let title = (error as? NetworkError)?.text ?? "the address cannot be listened on"
    self.init(.unavailable, title, remedy: remedy)
  }
}
