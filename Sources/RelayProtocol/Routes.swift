/// Every route of the relay's REST interface, version 1, in one place: the relay serves what stands here, the clients call
/// what stands here, and the OpenAPI document is made of it.
///
/// A new route is one line here and its name in ``all``, an endpoint in the relay, and a row in docs/protocol.md. The
/// tests say what is missing; `relay-server --print-openapi > docs/openapi.json` writes the document anew.
public struct Route: Sendable {
  public enum Method: String, Sendable { case get = "GET", post = "POST", put = "PUT", delete = "DELETE" }

  public enum Authorization: Sendable {
    case none
    /// An access token, of any live session.
    case session
  }

  /// The type of a JSON body. Its schema is read off its `Decodable` conformance.
  public typealias Body = any (Codable & Sendable).Type

  /// What the route answers with when it did what it was asked.
  public enum Answer: Sendable {
    /// No body: status 204.
    case nothing
    /// One JSON value: status 200, unless the route says 201.
    case json(Body)
    /// Something else, of that media type.
    case media(String)
    /// The WebSocket: status 101.
    case upgrade
  }

  /// What may stand in the query: a whole number, unless it is text.
  public struct Query: Sendable {
    public let name: String
    public let summary: String
    public let isText: Bool

    public init(_ name: String, _ summary: String, isText: Bool = false) {
      (self.name, self.summary, self.isText) = (name, summary, isText)
    }
  }

  public let method: Method
  /// The path, in which `{name}` stands for one segment.
  public let path: String
  public let authorization: Authorization
  /// One sentence for the OpenAPI document.
  public let summary: String
  public let takes: Body?
  public let gives: Answer
  /// The status of success.
  public let status: Int
  public let query: [Query]
  /// Whether it makes the relay grow, so that it is refused first (`unavailable`) when the relay is under strain.
  public let givesWay: Bool
  private let ownRefusals: [RelayCode]

  /// - Parameters:
  ///   - takes: the type of the request's body.
  ///   - gives: the type of the answer's body; without one the answer is 204, or what `answer` says.
  ///   - refuses: the codes of its own, besides those that follow from its form (see ``refusals``).
  ///   - givesWay: see ``givesWay``.
  private init(
    _ method: Method, _ path: String, _ authorization: Authorization = .session, _ summary: String = "",
    takes: Body? = nil, gives: Body? = nil, answer: Answer = .nothing, status: Int? = nil, query: [Query] = [],
    refuses: [RelayCode] = [], givesWay: Bool = false
  ) {
    self.givesWay = givesWay
    (self.method, self.path, self.authorization, self.summary) = (method, path, authorization, summary)
    (self.takes, self.query, ownRefusals) = (takes, query, refuses)
    self.gives = gives.map { .json($0) } ?? answer
    let usual =
      switch self.gives {
      case .nothing: 204
      case .json, .media: 200
      case .upgrade: 101
      }
    self.status = status ?? usual
  }

  /// Every code that the route may answer with: its own, and those of every route of its form. A malformed request, a bug
  /// and a relay under stress can happen anywhere; so can a limit, and a web page that is not on the relay's list.
  public var refusals: [RelayCode] {
    var codes: [RelayCode] = [.invalidRequest, .forbidden, .rateLimited, .internalError, .unavailable]
    if authorization == .session { codes += [.unauthenticated, .tokenExpired, .sessionEnded] }
    if takes != nil { codes.append(.tooLarge) }
    if path.contains("{") { codes.append(.notFound) }
    if path.contains("{room}") { codes.append(.roomNotFound) }
    if path.contains("{user}") { codes.append(.userNotFound) }
    return codes + ownRefusals.filter { !codes.contains($0) }
  }

  public static let live = Route(.get, "/livez", .none, "Answers while the process runs.", answer: .media("text/plain"))
  public static let ready = Route(
    .get, "/readyz", .none, "Answers 200 if the relay can serve, else 503.", answer: .media("text/plain"))
  public static let openAPI = Route(
    .get, "/v1/openapi.json", .none, "This document.", answer: .media("application/json"))

  public static let register = Route(
    .post, "/v1/accounts", .none, "Makes an account, its first device and a session.", takes: RegisterRequest.self,
    gives: SessionResponse.self, status: 201,
    refuses: [
      .usernameTaken, .registrationClosed, .invitationInvalid, .accountDisabled, .deviceUnknown, .invalidSignature,
      .deviceListConflict,
    ], givesWay: true)
  public static let logIn = Route(
    .post, "/v1/sessions", .none, "Begins a session of a device that the account lists.", takes: LoginRequest.self,
    gives: SessionResponse.self, status: 201, refuses: [.invalidCredentials, .accountDisabled, .deviceUnknown])
  public static let registerExternal = Route(
    .post, "/v1/accounts/external", .none,
    "Makes an account for whom another issuer's token names, its first device and a session.",
    takes: ExternalRegisterRequest.self, gives: SessionResponse.self, status: 201,
    refuses: [
      .notFound, .externalTokenInvalid, .identityInUse, .usernameTaken, .registrationClosed, .invitationInvalid,
      .accountDisabled, .deviceUnknown, .invalidSignature, .deviceListConflict,
    ], givesWay: true)
  public static let logInExternal = Route(
    .post, "/v1/sessions/external", .none, "Begins a session for whom another issuer's token names.",
    takes: ExternalLoginRequest.self, gives: SessionResponse.self, status: 201,
    refuses: [.notFound, .externalTokenInvalid, .identityUnknown, .accountDisabled, .deviceUnknown])
  public static let refresh = Route(
    .post, "/v1/sessions/refresh", .none, "Gives new tokens for a refresh token, which works once.",
    takes: RefreshRequest.self, gives: SessionResponse.self, refuses: [.sessionEnded, .userNotFound])
  public static let logOut = Route(
    .delete, "/v1/sessions/current", .session, "Ends the caller's session and its sockets.")
  public static let me = Route(
    .get, "/v1/accounts/me", .session, "The caller's account.", gives: AccountResponse.self, refuses: [.userNotFound])
  public static let user = Route(
    .get, "/v1/users/{user}", .session, "A user, by name or id, with the signed device list.", gives: UserResponse.self)
  public static let putProfile = Route(
    .put, "/v1/profile", .session, "What others see of the caller besides the name.", takes: ProfileBody.self,
    refuses: [.userNotFound])
  public static let sessions = Route(
    .get, "/v1/sessions", .session, "The caller's sessions, on all devices.", gives: SessionsResponse.self)
  public static let endSessions = Route(
    .delete, "/v1/sessions", .session, "Ends all sessions of the caller and their sockets, this one too.",
    refuses: [.userNotFound])
  public static let endSession = Route(
    .delete, "/v1/sessions/{session}", .session, "Ends one of the caller's sessions and its sockets.",
    refuses: [.userNotFound])
  public static let contacts = Route(
    .get, "/v1/contacts", .session, "The caller's contacts and requests, by state.", gives: ContactsResponse.self)
  public static let changeContact = Route(
    .post, "/v1/contacts/{user}/{change}", .session,
    "Does one of request, accept, decline, remove, block, unblock. Who cannot be reached is as one who does not exist.",
    refuses: [.forbidden, .tooLarge])
  public static let putPresence = Route(
    .put, "/v1/presence", .session, "What the caller shows while connected, and whether at all.",
    takes: PresenceRequest.self, refuses: [.userNotFound])
  public static let queryPresence = Route(
    .post, "/v1/presence/query", .session, "How users stand whose presence the caller may see; others are left out.",
    takes: PresenceQuery.self, gives: PresenceResponse.self)
  public static let putDevices = Route(
    .put, "/v1/devices", .session, "The next version of the caller's signed device list.",
    takes: DeviceListRequest.self, refuses: [.invalidSignature, .deviceListConflict])
  public static let publishKeyPackages = Route(
    .post, "/v1/key-packages", .session, "Publishes key packages of the caller's device.",
    takes: KeyPackagesRequest.self, gives: KeyPackageCount.self, refuses: [.deviceUnknown])
  public static let countKeyPackages = Route(
    .get, "/v1/key-packages", .session, "How many key packages are left.", gives: KeyPackageCount.self)
  public static let claimKeyPackages = Route(
    .post, "/v1/users/{user}/key-packages/claim", .session,
    "One key package for each device of the user, handed out once but for the last resort.", gives: ClaimResponse.self,
    givesWay: true)
  public static let createRoom = Route(
    .post, "/v1/rooms", .session, "Makes a room of which the caller is the only member.", takes: CreateRoomRequest.self,
    gives: RoomResponse.self, status: 201, refuses: [.roomExists, .userNotFound], givesWay: true)
  public static let rooms = Route(.get, "/v1/rooms", .session, "The caller's rooms.", gives: RoomsResponse.self)
  public static let room = Route(
    .get, "/v1/rooms/{room}", .session, "One of the caller's rooms.", gives: RoomResponse.self)
  public static let members = Route(
    .get, "/v1/rooms/{room}/members", .session, "Who is in the room.", gives: MembersResponse.self)
  public static let send = Route(
    .post, "/v1/rooms/{room}/messages", .session, "Stores an application message or a proposal, and pushes it.",
    takes: SendRequest.self, gives: SendResponse.self,
    refuses: [.epochConflict, .epochStale, .epochUnknown, .sendIDReused, .deviceUnknown])
  public static let commit = Route(
    .post, "/v1/rooms/{room}/commits", .session, "Ends the epoch that the commit names, if it is the room's.",
    takes: CommitRequest.self, gives: SendResponse.self,
    refuses: [.epochConflict, .sendIDReused, .deviceUnknown, .userNotFound, .forbidden])
  public static let leave = Route(
    .post, "/v1/rooms/{room}/leave", .session,
    "Stores the caller's own Remove proposal and ends its membership.", takes: LeaveRequest.self,
    gives: SendResponse.self, refuses: [.epochConflict, .sendIDReused, .deviceUnknown])
  public static let join = Route(
    .post, "/v1/rooms/{room}/join", .session,
    "Takes in an external commit: by an invite link, or of a member's device that comes back.", takes: JoinRequest.self,
    gives: SendResponse.self, refuses: [.inviteInvalid, .epochConflict, .sendIDReused, .deviceUnknown])
  public static let groupInfo = Route(
    .get, "/v1/rooms/{room}/info", .session, "The room's encrypted group info, for members.",
    gives: GroupInfoResponse.self, refuses: [.noGroupInfo])
  public static let invite = Route(
    .get, "/v1/invites/{invite}", .session, "The encrypted group info of the room that an invite link leads to.",
    gives: GroupInfoResponse.self, refuses: [.inviteInvalid, .noGroupInfo])
  public static let code = Route(
    .get, "/v1/rooms/{room}/code", .session, "The room's join code, for admins.", gives: CodeResponse.self,
    refuses: [.forbidden])
  public static let newCode = Route(
    .put, "/v1/rooms/{room}/code", .session, "Draws a new join code in place of the one before.",
    takes: CodeRequest.self, gives: CodeResponse.self, refuses: [.forbidden, .deviceUnknown])
  public static let revokeCode = Route(
    .delete, "/v1/rooms/{room}/code", .session, "Ends the room's join code.", refuses: [.forbidden, .deviceUnknown])
  public static let ask = Route(
    .post, "/v1/join-requests", .session,
    "Asks to come into a room, by code or by the id of a listed one; the answer is the same whether or not there is one.",
    takes: AskRequest.self, status: 202, refuses: [.deviceUnknown])
  public static let requests = Route(
    .get, "/v1/rooms/{room}/requests", .session, "Who asks to come in, for those who may admit.",
    gives: AskingResponse.self, refuses: [.forbidden])
  public static let askBack = Route(
    .post, "/v1/rooms/{room}/requests", .session, "Asks for the caller's device to be added anew.", status: 202,
    refuses: [.deviceUnknown])
  public static let refuseRequest = Route(
    .delete, "/v1/rooms/{room}/requests/{user}", .session, "Forgets somebody's request to come in.",
    refuses: [.forbidden, .deviceUnknown])
  public static let deleteRoom = Route(
    .post, "/v1/rooms/{room}/deletion", .session, "Ends the room for all and erases it, for its owner.",
    takes: DeleteRoomRequest.self, status: 204, refuses: [.forbidden, .deviceUnknown])
  public static let publishRoom = Route(
    .put, "/v1/rooms/{room}/listing", .session, "Shows the room in the directory, for its owner.",
    takes: ListingRequest.self, refuses: [.forbidden, .deviceUnknown])
  public static let withdrawRoom = Route(
    .delete, "/v1/rooms/{room}/listing", .session, "Takes the room out of the directory.",
    refuses: [.forbidden, .deviceUnknown])
  public static let directory = Route(
    .get, "/v1/directory", .session, "Rooms that their owners show, by name.", gives: DirectoryResponse.self,
    query: [
      Query("name", "What the name holds, in large or small letters.", isText: true),
      Query("after", "`next` of the page before.", isText: true), Query("limit", "How many rooms at most."),
    ])
  public static let log = Route(
    .get, "/v1/rooms/{room}/log", .session, "Entries of the room's log, in order.", gives: LogResponse.self,
    query: [
      Query("after", "The last sequence that the client has."), Query("limit", "How many entries at most."),
      Query("incarnation", "The log that the sequence counts in."),
    ], refuses: [.incarnationChanged])
  public static let welcomes = Route(
    .get, "/v1/welcomes", .session, "The Welcomes that wait for the caller's device.", gives: WelcomesResponse.self)
  public static let deleteWelcome = Route(
    .delete, "/v1/welcomes/{welcome}", .session, "Forgets a Welcome that was taken in or refused.")
  public static let poll = Route(
    .post, "/v1/poll", .session, "Where to look, after news or when the time is over.", takes: PollRequest.self,
    gives: PollResponse.self)
  /// The WebSocket, subprotocol ``subprotocol``.
  public static let socket = Route(
    .get, "/v1/socket", .none, "The WebSocket, subprotocol kin.v1; its frames are described in docs/protocol.md.",
    answer: .upgrade, refuses: [.unauthenticated, .tokenExpired, .sessionEnded, .forbidden])

  public static let all: [Route] = [
    .live, .ready, .openAPI, .register, .logIn, .registerExternal, .logInExternal, .refresh, .logOut, .me, .user,
    .putProfile, .sessions, .endSessions,
    .endSession, .contacts, .changeContact, .putPresence, .queryPresence, .putDevices, .publishKeyPackages,
    .countKeyPackages, .claimKeyPackages, .createRoom, .rooms, .room, .members, .send, .commit, .leave, .join,
    .groupInfo, .invite, .code, .newCode, .revokeCode, .ask, .requests, .askBack, .refuseRequest, .deleteRoom,
    .publishRoom, .withdrawRoom, .directory, .log,
    .welcomes, .deleteWelcome, .poll, .socket,
  ]

  /// The WebSocket subprotocol and its version.
  public static let subprotocol = "kin.v1"

  /// The path with its segments filled in, in order. Values must be identifiers or user names, which need no escapes.
  public func path(_ values: String...) -> String { path(values) }

  public func path(_ values: [String]) -> String {
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

/// A route is its method and its path.
extension Route: Hashable {
  public static func == (left: Route, right: Route) -> Bool { left.method == right.method && left.path == right.path }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(method)
    hasher.combine(path)
  }
}
