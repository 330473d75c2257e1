import CryptoPrimitives
import E2ECrypto

/// Why a call did not succeed: a code of gRPC, a text, and the rule of RFC 9420 if one was broken.
struct Failure: Error {
  enum Code: String {
    case invalidArgument = "INVALID_ARGUMENT"
    case notFound = "NOT_FOUND"
    case failedPrecondition = "FAILED_PRECONDITION"
    case resourceExhausted = "RESOURCE_EXHAUSTED"
    case unimplemented = "UNIMPLEMENTED"
    case `internal` = "INTERNAL"
  }

  let code: Code
  let message: String
  let rule: String?

  init(_ code: Code, _ message: String, rule: String? = nil) {
    self.code = code
    self.message = message
    self.rule = rule
  }

  /// What any error of a call says to the other side.
  init(describing error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as MLSError:
      let code: Code =
        switch error.family {
        case .misuse: .failedPrecondition
        case .rejected: .invalidArgument
        case .fault: .internal
        }
      self.init(code, "\(error.code)", rule: error.rule?.name)
    case let error as CryptoError: self.init(.invalidArgument, "\(error.code)")
    default: self.init(.internal, "\(error)")
    }
  }

  var json: JSON {
    var fields: [String: JSON] = ["code": .text(code.rawValue), "message": .text(message)]
    if let rule { fields["rule"] = .text(rule) }
    return .object(fields)
  }
}
