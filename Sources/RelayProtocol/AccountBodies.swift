/// Makes an account, its first device and a session, at once.
public struct RegisterRequest: Codable, Sendable {
  public var username: String
  public var password: String
  public var email: String?
  /// `+` and 6 to 15 digits.
  public var phone: String?
  public var profile: ProfileBody?
  /// The token of an invitation, where the relay asks for one.
  public var invite: String?
  /// The account's first ``SignedDeviceList``, encoded: number 1, with exactly the registering device. It names the
  /// user id, which the client draws at random.
  public var deviceList: Base64URL

  public init(
    username: String, password: String, email: String? = nil, phone: String? = nil, profile: ProfileBody? = nil,
    invite: String? = nil, deviceList: [UInt8]
  ) {
    (self.username, self.password, self.email) = (username, password, email)
    (self.phone, self.profile, self.invite) = (phone, profile, invite)
    self.deviceList = Base64URL(deviceList)
  }
}

public struct LoginRequest: Codable, Sendable {
  /// A username or an email address.
  public var login: String
  public var password: String
  /// A device of the account's newest list.
  public var device: DeviceID

  public init(login: String, password: String, device: DeviceID) {
    (self.login, self.password, self.device) = (login, password, device)
  }
}

/// Makes an account for whom another issuer's token names, its first device and a session.
public struct ExternalRegisterRequest: Codable, Sendable {
  /// A JWT of the issuer that the relay is configured for. Each is good for one session.
  public var token: String
  /// Needed only if the token gives no name; if it gives one, the same or none.
  public var username: String?
  public var profile: ProfileBody?
  /// The token of an invitation, where the relay asks for one.
  public var invite: String?
  /// As in ``RegisterRequest``.
  public var deviceList: Base64URL

  public init(
    token: String, username: String? = nil, profile: ProfileBody? = nil, invite: String? = nil, deviceList: [UInt8]
  ) {
    (self.token, self.username, self.profile, self.invite) = (token, username, profile, invite)
    self.deviceList = Base64URL(deviceList)
  }
}

/// Begins a session for the account of whom another issuer's token names.
public struct ExternalLoginRequest: Codable, Sendable {
  /// As in ``ExternalRegisterRequest``.
  public var token: String
  /// A device of the account's newest list.
  public var device: DeviceID

  public init(token: String, device: DeviceID) { (self.token, self.device) = (token, device) }
}

public struct RefreshRequest: Codable, Sendable {
  /// Good for one use: using it again ends the session (reuse detection).
  public var refreshToken: String

  public init(refreshToken: String) { self.refreshToken = refreshToken }
}

public struct SessionResponse: Codable, Sendable {
  public var user: UserID
  public var username: String
  public var device: DeviceID
  /// A JWT (RFC 7519), for the `Authorization: Bearer` header or the socket's first frame.
  public var accessToken: String
  /// Seconds until the access token expires.
  public var expiresIn: UInt64
  public var refreshToken: String

  public init(
    user: UserID, username: String, device: DeviceID, accessToken: String, expiresIn: UInt64, refreshToken: String
  ) {
    (self.user, self.username, self.device) = (user, username, device)
    (self.accessToken, self.expiresIn, self.refreshToken) = (accessToken, expiresIn, refreshToken)
  }
}

public struct AccountResponse: Codable, Sendable {
  public var user: UserID
  public var username: String
  public var email: String?
  /// `user`, `moderator` or `admin`.
  public var role: String
  public var device: DeviceID
  public var phone: String?
  public var profile: ProfileBody
  public var presence: PresenceRequest

  public init(
    user: UserID, username: String, email: String?, role: String, device: DeviceID, phone: String?,
    profile: ProfileBody, presence: PresenceRequest
  ) {
    (self.user, self.username, self.email, self.role, self.device) = (user, username, email, role, device)
    (self.phone, self.profile, self.presence) = (phone, profile, presence)
  }
}

/// What anyone logged in may learn of an account. Clients check the list's signature and pin its account key.
public struct UserResponse: Codable, Sendable {
  public var user: UserID
  public var username: String
  /// The newest ``SignedDeviceList``, encoded.
  public var deviceList: Base64URL
  /// Shown to contacts and room mates only.
  public var profile: ProfileBody?

  public init(user: UserID, username: String, deviceList: [UInt8], profile: ProfileBody? = nil) {
    (self.user, self.username, self.deviceList) = (user, username, Base64URL(deviceList))
    self.profile = profile
  }
}

public struct DeviceListRequest: Codable, Sendable {
  public var deviceList: Base64URL

  public init(deviceList: [UInt8]) { self.deviceList = Base64URL(deviceList) }
}

public struct KeyPackagesRequest: Codable, Sendable {
  /// MLSMessages that hold KeyPackages (RFC 9420 section 10), each to be claimed once.
  public var keyPackages: [Base64URL]
  /// Replaces the package that is handed out, again and again, when none of the others is left.
  public var lastResort: Base64URL?

  public init(keyPackages: [[UInt8]], lastResort: [UInt8]?) {
    self.keyPackages = keyPackages.map { Base64URL($0) }
    self.lastResort = lastResort.map { Base64URL($0) }
  }
}

public struct KeyPackageCount: Codable, Sendable {
  /// One-time packages that are left.
  public var oneTime: Int
  public var hasLastResort: Bool

  public init(oneTime: Int, hasLastResort: Bool) { (self.oneTime, self.hasLastResort) = (oneTime, hasLastResort) }
}

public struct ClaimResponse: Codable, Sendable {
  public struct Claimed: Codable, Sendable {
    public var device: DeviceID
    public var keyPackage: Base64URL

    public init(device: DeviceID, keyPackage: [UInt8]) {
      (self.device, self.keyPackage) = (device, Base64URL(keyPackage))
    }
  }

  public var user: UserID
  public var claimed: [Claimed]
  /// Devices of the newest list that have published no key package, not even one of last resort.
  public var without: [DeviceID]

  public init(user: UserID, claimed: [Claimed], without: [DeviceID]) {
    (self.user, self.claimed, self.without) = (user, claimed, without)
  }
}
