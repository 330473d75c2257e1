/// Why the relay refused, as a stable word that clients act upon.
///
/// It stands as `code` in a problem document (RFC 9457) and as a number in a ``RelayFrame/refused`` frame. A client that
/// meets an unknown code goes by the HTTP status alone.
public struct RelayCode: Sendable {
  /// The text as a literal of the source, fit for logs and metrics.
  public let literal: StaticString
  public let number: UInt16
  /// The HTTP status that carries this code.
  public let status: Int
  /// Whether the same request may succeed later without a change.
  public let isRetryable: Bool

  public static let invalidRequest = RelayCode("invalid_request", 1, 400)
  public static let unauthenticated = RelayCode("unauthenticated", 2, 401)
  public static let tokenExpired = RelayCode("token_expired", 3, 401)
  public static let sessionEnded = RelayCode("session_ended", 4, 401)
  public static let invalidCredentials = RelayCode("invalid_credentials", 5, 401)
  public static let forbidden = RelayCode("forbidden", 6, 403)
  public static let notFound = RelayCode("not_found", 7, 404)
  /// The room does not exist, or the caller is not a member: the two are told apart to nobody.
  public static let roomNotFound = RelayCode("room_not_found", 8, 404)
  public static let userNotFound = RelayCode("user_not_found", 9, 404)
  public static let methodNotAllowed = RelayCode("method_not_allowed", 10, 405)
  public static let usernameTaken = RelayCode("username_taken", 11, 409)
  public static let roomExists = RelayCode("room_exists", 12, 409)
  /// Another commit ended this epoch first. Process it, then rebase.
  public static let epochConflict = RelayCode("epoch_conflict", 13, 409)
  /// The epoch is too old for an application message. Seal it anew in the present epoch.
  public static let epochStale = RelayCode("epoch_stale", 14, 409)
  /// The epoch lies in the room's future: the client is not in step with this relay.
  public static let epochUnknown = RelayCode("epoch_unknown", 15, 409)
  public static let deviceListConflict = RelayCode("device_list_conflict", 16, 409)
  public static let incarnationChanged = RelayCode("incarnation_changed", 17, 409)
  /// A send id was used again with another content.
  public static let sendIDReused = RelayCode("send_id_reused", 18, 409)
  public static let alreadyMember = RelayCode("already_member", 19, 409)
  public static let noKeyPackage = RelayCode("no_key_package", 20, 409)
  public static let tooLarge = RelayCode("too_large", 21, 413)
  public static let rateLimited = RelayCode("rate_limited", 22, 429, retryable: true)
  public static let internalError = RelayCode("internal_error", 23, 500, retryable: true)
  public static let unavailable = RelayCode("unavailable", 24, 503, retryable: true)
  public static let deviceUnknown = RelayCode("device_unknown", 25, 403)
  public static let registrationClosed = RelayCode("registration_closed", 26, 403)
  public static let invalidSignature = RelayCode("invalid_signature", 27, 400)
  /// The link never was, is over, used up or revoked: the cases are told apart to nobody.
  public static let inviteInvalid = RelayCode("invite_invalid", 40, 404)
  /// The room has no group info of its present epoch: ask to be added instead.
  public static let noGroupInfo = RelayCode("no_group_info", 41, 409)
  /// The token of an invitation is unknown, used up, expired or revoked; or the relay asks for one.
  public static let invitationInvalid = RelayCode("invitation_invalid", 50, 403)
  /// Who logs in is who they say, but the account was disabled, locked or deleted.
  public static let accountDisabled = RelayCode("account_disabled", 51, 403)
  /// Another issuer's token is not good: forged, for somebody else, past its time, or redeemed before. Get a fresh one.
  public static let externalTokenInvalid = RelayCode("external_token_invalid", 60, 401)
  /// The token is good, but no account belongs to whom it names.
  public static let identityUnknown = RelayCode("identity_unknown", 61, 403)
  /// Whom the token names has an account already.
  public static let identityInUse = RelayCode("identity_in_use", 62, 409)

  public static let all: [RelayCode] = [
    .invalidRequest, .unauthenticated, .tokenExpired, .sessionEnded, .invalidCredentials, .forbidden, .notFound,
    .roomNotFound, .userNotFound, .methodNotAllowed, .usernameTaken, .roomExists, .epochConflict, .epochStale,
    .epochUnknown, .deviceListConflict, .incarnationChanged, .sendIDReused, .alreadyMember, .noKeyPackage, .tooLarge,
    .rateLimited, .internalError, .unavailable, .deviceUnknown, .registrationClosed, .invalidSignature,
    .inviteInvalid, .noGroupInfo,
    .invitationInvalid, .accountDisabled, .externalTokenInvalid, .identityUnknown, .identityInUse,
  ]

  public init?(text: String) {
    guard let code = Self.all.first(where: { $0.text == text }) else { return nil }
    self = code
  }

  public init?(number: UInt16) {
    guard let code = Self.all.first(where: { $0.number == number }) else { return nil }
    self = code
  }

  public var text: String { "\(literal)" }

  private init(_ literal: StaticString, _ number: UInt16, _ status: Int, retryable: Bool = false) {
    self.literal = literal
    self.number = number
    self.status = status
    self.isRetryable = retryable
  }
}

/// A code is its number.
extension RelayCode: Hashable {
  public static func == (left: RelayCode, right: RelayCode) -> Bool { left.number == right.number }

  public func hash(into hasher: inout Hasher) { hasher.combine(number) }
}

/// The body of every refusal (RFC 9457), of type `application/problem+json`.
public struct Problem: Codable, Sendable, Hashable {
  /// `about:blank`: the code below says more than a page could.
  public var type: String
  public var title: String
  public var status: Int
  /// A ``RelayCode``'s text.
  public var code: String
  public var retryable: Bool
  /// Seconds to wait before trying again, where the relay knows.
  public var retryAfter: Double?

  public init(_ code: RelayCode, title: String, retryAfter: Double? = nil) {
    self.type = "about:blank"
    self.title = title
    self.status = code.status
    self.code = code.text
    self.retryable = code.isRetryable
    self.retryAfter = retryAfter
  }
}
