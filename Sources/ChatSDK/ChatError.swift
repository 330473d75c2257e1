/// Why the client could not do what was asked.
///
/// Two errors are equal if their codes are. The texts are static, so an error can go to a log or a terminal as it is.
public struct ChatError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What went wrong: a stable word. A struct and not an enum, so that a new code breaks nobody.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }
  }

  /// Who can do something about it.
  public enum Family: Sendable, Hashable {
    /// The caller asked for what cannot be.
    case usage
    /// The relay cannot be reached.
    case network
    /// An identity is not the one that was trusted.
    case trust
    /// The relay or the room's rules said no.
    case refused
    /// Log in first.
    case login
    /// Too much in too short a time.
    case rateLimited
    /// Something cannot be decrypted: the store or a message.
    case cannotDecrypt
    /// The same may succeed later.
    case tryAgain
    /// A bug of ours.
    case bug
  }

  public let code: Code
  /// The error below this one, where there is one. Its text may be less careful than this one's.
  public let underlying: (any Error)?
  /// Whether the same call may succeed later without a change.
  public let isRetryable: Bool
  /// How long to wait before trying again, where the relay said so.
  public let retryAfter: Duration?
  /// What goes beyond the code: candidates of an ambiguous name, the user that is meant.
  public let detail: String?
  public let file: StaticString
  public let line: UInt

  public init(
    _ code: Code, detail: String? = nil, underlying: (any Error)? = nil, isRetryable: Bool? = nil,
    retryAfter: Duration? = nil, file: StaticString = #fileID, line: UInt = #line
  ) {
    self.code = code
    self.detail = detail
    self.underlying = underlying
    self.isRetryable = isRetryable ?? code.entry.isRetryable
    self.retryAfter = retryAfter
    (self.file, self.line) = (file, line)
  }

  public static func == (left: ChatError, right: ChatError) -> Bool { left.code == right.code }

  public var family: Family { code.entry.family }
  /// What happened, in a sentence without a full stop.
  public var message: String { String(describing: code.entry.text) }
  /// What to do about it.
  public var hint: String { String(describing: code.entry.hint) }
  public var description: String { detail.map { "\(message): \($0)" } ?? message }
}

extension ChatError.Code {
  public static let ownAccount = Self(rawValue: "own_account")
  public static let notInRoom = Self(rawValue: "not_in_room")
  public static let noSuchRequest = Self(rawValue: "no_such_request")
  public static let noSuchLink = Self(rawValue: "no_such_link")
  public static let accountDisabled = Self(rawValue: "account_disabled")
  public static let contactBlocked = Self(rawValue: "contact_blocked")
  public static let invitationInvalid = Self(rawValue: "invitation_invalid")
  public static let invalidProfile = Self(rawValue: "invalid_profile")
  public static let noSuchContact = Self(rawValue: "no_such_contact")
  public static let sessionNotFound = Self(rawValue: "session_not_found")
  public static let alreadyRegistered = Self(rawValue: "already_registered")
  public static let ambiguousRoom = Self(rawValue: "ambiguous_room")
  public static let banned = Self(rawValue: "banned")
  public static let cancelled = Self(rawValue: "cancelled")
  public static let closed = Self(rawValue: "closed")
  public static let deviceUnknown = Self(rawValue: "device_unknown")
  public static let externalTokenInvalid = Self(rawValue: "external_token_invalid")
  public static let identityInUse = Self(rawValue: "identity_in_use")
  public static let identityUnknown = Self(rawValue: "identity_unknown")
  public static let noSignOn = Self(rawValue: "no_sign_on")
  public static let identityChanged = Self(rawValue: "identity_changed")
  public static let identityInvalid = Self(rawValue: "identity_invalid")
  public static let internalError = Self(rawValue: "internal_error")
  public static let invalidCode = Self(rawValue: "invalid_code")
  public static let invalidCredentials = Self(rawValue: "invalid_credentials")
  public static let invalidName = Self(rawValue: "invalid_name")
  public static let invalidPassword = Self(rawValue: "invalid_password")
  public static let invalidRelayURL = Self(rawValue: "invalid_relay_url")
  public static let inviteInvalid = Self(rawValue: "invite_invalid")
  public static let lastOwner = Self(rawValue: "last_owner")
  public static let messageTooLong = Self(rawValue: "message_too_long")
  public static let noKeyPackage = Self(rawValue: "no_key_package")
  public static let notAMember = Self(rawValue: "not_a_member")
  public static let notLoggedIn = Self(rawValue: "not_logged_in")
  public static let notPermitted = Self(rawValue: "not_permitted")
  public static let notRegistered = Self(rawValue: "not_registered")
  public static let protocolViolation = Self(rawValue: "protocol_violation")
  public static let rateLimited = Self(rawValue: "rate_limited")
  public static let refused = Self(rawValue: "refused")
  public static let registrationClosed = Self(rawValue: "registration_closed")
  public static let relayUnavailable = Self(rawValue: "relay_unavailable")
  public static let relayUnreachable = Self(rawValue: "relay_unreachable")
  public static let roomBusy = Self(rawValue: "room_busy")
  public static let roomClosed = Self(rawValue: "room_closed")
  public static let roomNotFound = Self(rawValue: "room_not_found")
  public static let roomStopped = Self(rawValue: "room_stopped")
  public static let sessionEnded = Self(rawValue: "session_ended")
  public static let storeDamaged = Self(rawValue: "store_damaged")
  public static let storeFailed = Self(rawValue: "store_failed")
  public static let storeLocked = Self(rawValue: "store_locked")
  public static let timedOut = Self(rawValue: "timed_out")
  public static let tlsFailed = Self(rawValue: "tls_failed")
  public static let userNotFound = Self(rawValue: "user_not_found")
  public static let usernameTaken = Self(rawValue: "username_taken")
  public static let webSocketRefused = Self(rawValue: "web_socket_refused")
  public static let wrongPassphrase = Self(rawValue: "wrong_passphrase")
  public static let wrongRelay = Self(rawValue: "wrong_relay")

  struct Entry: Sendable {
    var family: ChatError.Family
    var text: StaticString
    var hint: StaticString
    var isRetryable = false

    init(_ family: ChatError.Family, _ text: StaticString, _ hint: StaticString, retryable: Bool = false) {
      (self.family, self.text, self.hint, self.isRetryable) = (family, text, hint, retryable)
    }
  }

  var entry: Entry {
    Self.entries[self] ?? Entry(.refused, "the relay refused", "it says why; change that and try again")
  }

  private static let entries: [Self: Entry] = [
    .ownAccount: Entry(.usage, "this is your own account", "name somebody else"),
    .notInRoom: Entry(.usage, "no such member of this room", "list the members"),
    .noSuchRequest: Entry(.usage, "nobody of this name asks to come in", "list the requests"),
    .noSuchLink: Entry(.usage, "the room has no such link", "list the links"),
    .accountDisabled: Entry(.refused, "the account is not active", "ask the relay's operator"),
    .contactBlocked: Entry(.refused, "this user is blocked by you", "unblock them first"),
    .invitationInvalid: Entry(.refused, "the invitation is not good, or the relay asks for one", "ask for a new one"),
    .invalidProfile: Entry(
      .usage, "this profile cannot be used", "a name of at most 64 plain characters, an avatar as an https URL"),
    .noSuchContact: Entry(.usage, "there is no such contact or request", "list the contacts"),
    .sessionNotFound: Entry(.usage, "there is no such session", "list the sessions"),
    .alreadyRegistered: Entry(.usage, "this store has an account already", "use another store for another account"),
    .ambiguousRoom: Entry(.usage, "more than one room has this name", "give the room's id instead"),
    .banned: Entry(.refused, "banned from this room", "an admin can lift the ban with unban"),
    .cancelled: Entry(.tryAgain, "cancelled", "call again", retryable: true),
    .closed: Entry(.usage, "the client is closed", "open it again"),
    .deviceUnknown: Entry(
      .login, "the relay does not know this device",
      "it was revoked, or the name is another account's than this store's"),
    .externalTokenInvalid: Entry(
      .login, "the single sign-on token is not good, or not any more", "get a fresh one: each is good once"),
    .identityInUse: Entry(
      .refused, "whom the single sign-on token names has an account already", "log in where that account lives"),
    .identityUnknown: Entry(
      .refused, "no account belongs to whom the single sign-on token names",
      "register with the token, or ask the operator to link the account"),
    .noSignOn: Entry(.refused, "the relay takes no single sign-on tokens", "use a password, or ask its operator"),
    .identityChanged: Entry(
      .trust, "a verified contact has a new identity", "compare safety numbers, then accept the new identity"),
    .identityInvalid: Entry(
      .trust, "an identity does not prove to be what the relay says", "do not go on; ask the user by another way"),
    .internalError: Entry(.bug, "something is wrong inside Kin", "report it with the file and line"),
    .invalidCode: Entry(
      .usage, "this is not a join code", "it has six characters of 2-9 and A-Z without I and O"),
    .invalidCredentials: Entry(.login, "the name or the password is wrong", "check both and try again"),
    .invalidName: Entry(.usage, "this is not a name that can be used", "3 to 32 of a-z, 0-9, dot, dash, underscore"),
    .invalidPassword: Entry(.usage, "this password cannot be used", "use 8 to 1024 bytes"),
    .invalidRelayURL: Entry(.usage, "this is not the URL of a relay", "it looks like https://relay.example"),
    .inviteInvalid: Entry(
      .refused, "the invite link is not good, or not any more", "ask whoever gave it to you for another"),
    .lastOwner: Entry(.refused, "the room would be without an owner", "transfer the room to another member first"),
    .messageTooLong: Entry(.usage, "the message is too long", "send at most 64 KiB of text at once"),
    .noKeyPackage: Entry(
      .refused, "the user's device has no key package at the relay", "they must open their client once", retryable: true
    ),
    .notAMember: Entry(.refused, "not a member of this room", "ask a member to invite you"),
    .notLoggedIn: Entry(.login, "not logged in", "log in first"),
    .notPermitted: Entry(.refused, "the room's roles do not allow this", "ask the room's owner or an admin"),
    .notRegistered: Entry(.login, "this store has no account", "register, or use the store that has one"),
    .protocolViolation: Entry(.network, "the relay's answer makes no sense", "is this the URL of a Kin relay?"),
    .rateLimited: Entry(.rateLimited, "too much in too short a time", "wait and try again", retryable: true),
    .refused: Entry(.refused, "the relay refused", "it says why; change that and try again"),
    .registrationClosed: Entry(.refused, "the relay takes no new accounts", "ask its operator"),
    .relayUnavailable: Entry(.tryAgain, "the relay is not ready", "try again soon", retryable: true),
    .relayUnreachable: Entry(.network, "the relay cannot be reached", "check the URL and the network", retryable: true),
    .roomBusy: Entry(.tryAgain, "others change this room all the time", "try again", retryable: true),
    .roomClosed: Entry(.refused, "this room lets nobody in", "set its join policy to ask or open first"),
    .roomNotFound: Entry(.usage, "no such room here", "list the rooms; an invitation arrives with the next sync"),
    .roomStopped: Entry(
      .refused, "this room stands still since a change that was refused", "see what diagnose says of it"),
    .sessionEnded: Entry(.login, "the session at the relay is over", "log in again"),
    .storeDamaged: Entry(.cannotDecrypt, "the store is damaged or was tampered with", "restore it from a backup"),
    .storeFailed: Entry(.bug, "the store cannot be read or written", "check the disk and the file's permissions"),
    .storeLocked: Entry(
      .tryAgain, "another process uses this store", "end it, or wait until it is done", retryable: true),
    .timedOut: Entry(.network, "the relay did not answer in time", "try again", retryable: true),
    .tlsFailed: Entry(.network, "the relay could not prove who it is", "check its certificate and the URL"),
    .userNotFound: Entry(.usage, "no such user at this relay", "check the spelling"),
    .usernameTaken: Entry(.refused, "the username, or the email address, is taken", "choose another"),
    .webSocketRefused: Entry(
      .network, "no WebSocket can be had to the relay", "use long polls, or ask who runs the proxy between"),
    .wrongPassphrase: Entry(.cannotDecrypt, "the passphrase or key does not open this store", "try another"),
    .wrongRelay: Entry(.usage, "this store's account lives at another relay", "give the relay that it was made with"),
  ]
}
