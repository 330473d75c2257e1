import CryptoPrimitives
import E2ECrypto
import Networking
import RelayProtocol
import Storage
import WireCodec

extension ChatError {
  /// The error that callers of this library see, for one of the rooms below it.
  init(wrapping error: any Error) {
    switch error {
    case let error as ChatError: self = error
    case let error as StorageError: self.init(Self.code(of: error), underlying: error)
    case let error as NetworkError: self.init(Self.code(of: error), underlying: error, isRetryable: error.isRetryable)
    case is CancellationError: self.init(.cancelled)
    case is WireError: self.init(.protocolViolation, underlying: error)
    default: self.init(.internalError, underlying: error)
    }
  }

  private static func code(of error: StorageError) -> Code {
    switch error.code {
    case .corrupt, .notADatabase, .typeMismatch, .foreignFile, .tooNew: .storeDamaged
    case .busy, .inUse: .storeLocked
    default: .storeFailed
    }
  }

  private static func code(of error: NetworkError) -> Code {
    switch error.code {
    case .cancelled: .cancelled
    case .timedOut: .timedOut
    case .tlsFailed: .tlsFailed
    case .invalidURL: .invalidRelayURL
    case .protocolViolation, .tooLarge, .upgradeRefused: .protocolViolation
    case .internalError, .misuse: .internalError
    default: .relayUnreachable
    }
  }

  /// The relay's refusal.
  init(_ problem: Problem) {
    let code: Code =
      switch RelayCode(text: problem.code) {
      case .usernameTaken?: .usernameTaken
      case .registrationClosed?: .registrationClosed
      case .invitationInvalid?: .invitationInvalid
      case .accountDisabled?: .accountDisabled
      case .invalidCredentials?: .invalidCredentials
      case .externalTokenInvalid?: .externalTokenInvalid
      case .identityInUse?: .identityInUse
      case .identityUnknown?: .identityUnknown
      case .unauthenticated?, .tokenExpired?, .sessionEnded?: .sessionEnded
      case .userNotFound?: .userNotFound
      case .roomNotFound?: .notAMember
      case .noKeyPackage?: .noKeyPackage
      case .inviteInvalid?: .inviteInvalid
      case .rateLimited?: .rateLimited
      case .unavailable?, .internalError?: .relayUnavailable
      case .deviceUnknown?: .deviceUnknown
      case .forbidden?: .notPermitted
      default: problem.status == 429 ? .rateLimited : problem.status >= 500 ? .relayUnavailable : .refused
      }
    self.init(
      code, detail: code == .refused ? Self.reason(problem) : nil, underlying: RelayRefusal(problem),
      isRetryable: problem.retryable, retryAfter: problem.retryAfter.map { .seconds(min(max($0, 0), 86_400)) })
  }

  /// The relay's own words, where they are plain ones.
  private static func reason(_ problem: Problem) -> String {
    let isPlain = problem.title.utf8.count <= 200 && problem.title.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
    guard isPlain, !problem.title.isEmpty else { return String(problem.code.prefix(64)) }
    return problem.title.hasSuffix(".") ? String(problem.title.dropLast()) : problem.title
  }

  /// The HTTP status with which a WebSocket was refused.
  var socketStatus: Int? { (underlying as? NetworkError)?.status }

  /// The relay's code, if this is a refusal.
  var relayCode: RelayCode? { (underlying as? RelayRefusal)?.code }
}

/// A refusal of the relay as it stands in its answer.
struct RelayRefusal: Error {
  let code: RelayCode?

  init(_ problem: Problem) { code = RelayCode(text: problem.code) }
  init(number: UInt16) { code = RelayCode(number: number) }
}

/// Runs `body` and turns whatever it throws into a ``ChatError``.
func chatErrors<T>(
  isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> T
) async throws(ChatError) -> T {
  do { return try await body() } catch { throw ChatError(wrapping: error) }
}
