/// Every route of the relay's REST interface, version 1, in one place: the relay serves what stands here and the
/// clients call what stands here.
public struct Route: Hashable, Sendable {
  public enum Method: String, Sendable { case get = "GET", post = "POST", put = "PUT", delete = "DELETE" }

  public enum Authorization: Sendable {
    case none
    /// An access token, of any live session.
    case session
  }

  public let method: Method
  /// The path, in which `{name}` stands for one segment.
  public let path: String
  public let authorization: Authorization

  private init(_ method: Method, _ path: String, _ authorization: Authorization = .session) {
    self.method = method
    self.path = path
    self.authorization = authorization
  }

  public static let live = Route(.get, "/livez", .none)
  public static let ready = Route(.get, "/readyz", .none)
  /// `RegisterRequest` to `SessionResponse`.
  public static let register = Route(.post, "/v1/accounts", .none)
  /// `LoginRequest` to `SessionResponse`.
  public static let logIn = Route(.post, "/v1/sessions", .none)
  /// `RefreshRequest` to `SessionResponse`.
  public static let refresh = Route(.post, "/v1/sessions/refresh", .none)
  /// Ends the caller's session.
  public static let logOut = Route(.delete, "/v1/sessions/current")
  /// To `AccountResponse`.
  public static let me = Route(.get, "/v1/accounts/me")
  /// A user by name or id, to `UserResponse`.
  public static let user = Route(.get, "/v1/users/{user}")
  /// `DeviceListRequest`: the next version of the caller's signed device list.
  public static let putDevices = Route(.put, "/v1/devices")
  /// `KeyPackagesRequest`, for the caller's device; to `KeyPackageCount`.
  public static let publishKeyPackages = Route(.post, "/v1/key-packages")
  /// To `KeyPackageCount`.
  public static let countKeyPackages = Route(.get, "/v1/key-packages")
  /// One key package for each device of the user, to `ClaimResponse`.
  public static let claimKeyPackages = Route(.post, "/v1/users/{user}/key-packages/claim")
  /// `CreateRoomRequest` to `RoomResponse`.
  public static let createRoom = Route(.post, "/v1/rooms")
  /// To `RoomsResponse`.
  public static let rooms = Route(.get, "/v1/rooms")
  /// To `RoomResponse`.
  public static let room = Route(.get, "/v1/rooms/{room}")
  /// To `MembersResponse`.
  public static let members = Route(.get, "/v1/rooms/{room}/members")
  /// `SendRequest` to `SendResponse`.
  public static let send = Route(.post, "/v1/rooms/{room}/messages")
  /// `CommitRequest` to `SendResponse`, or a problem `epoch_conflict`.
  public static let commit = Route(.post, "/v1/rooms/{room}/commits")
  /// `LeaveRequest`: stores the caller's own Remove proposal and ends its membership.
  public static let leave = Route(.post, "/v1/rooms/{room}/leave")
  /// Entries after a sequence (query `after`, `limit`, `incarnation`), to `LogResponse`.
  public static let log = Route(.get, "/v1/rooms/{room}/log")
  /// The Welcomes that wait for the caller's device, to `WelcomesResponse`.
  public static let welcomes = Route(.get, "/v1/welcomes")
  /// Forgets a Welcome that was taken in or refused.
  public static let deleteWelcome = Route(.delete, "/v1/welcomes/{welcome}")
  /// `PollRequest` to `PollResponse`, after something happened or the time is over.
  public static let poll = Route(.post, "/v1/poll")
  /// The WebSocket, subprotocol ``subprotocol``.
  public static let socket = Route(.get, "/v1/socket", .none)

  public static let all: [Route] = [
    .live, .ready, .register, .logIn, .refresh, .logOut, .me, .user, .putDevices, .publishKeyPackages,
    .countKeyPackages, .claimKeyPackages, .createRoom, .rooms, .room, .members, .send, .commit, .leave, .log,
    .welcomes, .deleteWelcome, .poll, .socket,
  ]

  /// The WebSocket subprotocol and its version.
  public static let subprotocol = "kin.v1"

  /// The path with its segments filled in, in order. Values must be identifiers or user names, which need no escapes.
  public func path(_ values: String...) -> String {
    var rest = values[...]
    return path.split(separator: "/").map { segment in
      segment.hasPrefix("{") ? rest.popFirst() ?? String(segment) : String(segment)
    }.reduce("") { $0 + "/" + $1 }
  }

  /// The segments that stand where the route has placeholders, or `nil` if `segments` is not of this route.
  public func match(_ segments: [String]) -> [String]? {
    let pattern = path.split(separator: "/")
    guard pattern.count == segments.count else { return nil }
    var values: [String] = []
    for (part, segment) in zip(pattern, segments) {
      if part.hasPrefix("{") { values.append(segment) } else if part != segment { return nil }
    }
    return values
  }
}
