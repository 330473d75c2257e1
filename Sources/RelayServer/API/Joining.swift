import Networking
import RelayProtocol

/// Ways into rooms that nobody was invited to.
extension API {
  static let joining: [Route: Endpoint] = [
    .join: { api, call async throws(RelayError) in
      let (caller, room) = (try call.caller, try call.room)
      let body: JoinRequest = try call.body()
      try api.services.throttles.send(
        by: caller.user, caller.device, to: room,
        bytes: body.message.bytes.count + (body.groupInfo?.bytes.count ?? 0), now: api.services.now())
      // Whoever comes by a link may be new; members come back without one.
      if body.invite != nil { try api.services.monitor.admit() }
      return try json(
        try await api.services.writer.join(
          NewJoin(room: room, sender: caller.user, device: caller.device, request: body, now: api.services.now())
        ).response)
    },
    .groupInfo: { api, call async throws(RelayError) in
      try json(try await api.services.store.groupInfo(of: try call.room, for: try call.caller.user))
    },
    .invite: { api, call async throws(RelayError) in
      guard let invite = InviteID(call.parameters[0]) else {
        throw RelayError(.inviteInvalid, "The link is not good.")
      }
      return try json(
        try await api.services.store.groupInfo(invite: invite, for: try call.caller.user, now: api.services.now()))
    },
    .code: { api, call async throws(RelayError) in
      try json(
        try await api.services.store.code(of: try call.room, for: try call.caller.user, now: api.services.now()))
    },
    .newCode: { api, call async throws(RelayError) in
      let (caller, room) = (try call.caller, try call.room)
      let body: CodeRequest = try call.body()
      guard (60...Limits.codeLifetime).contains(body.lifetime), (1...Limits.codeUses).contains(body.uses) else {
        throw RelayError(.invalidRequest, "The code's time or uses are out of bounds.")
      }
      return try json(
        try await api.services.store.newCode(
          NewCode(room: room, sender: caller.user, device: caller.device, request: body, now: api.services.now())))
    },
    .revokeCode: { api, call async throws(RelayError) in
      let caller = try call.caller
      try await api.services.store.revokeCode(of: try call.room, by: caller.user, device: caller.device)
      return done
    },
    .ask: { api, call async throws(RelayError) in try await api.ask(call) },
    .askBack: { api, call async throws(RelayError) in
      let caller = try call.caller
      let devices = try await api.services.store.askBack(
        try call.room, by: caller.user, device: caller.device, now: api.services.now())
      api.services.bus.publish([.look(.rooms, devices.filter { $0 != caller.device })])
      return HTTPResponse(status: 202)
    },
    .requests: { api, call async throws(RelayError) in
      try json(
        AskingResponse(requests: try await api.services.store.asking(in: try call.room, for: try call.caller.user)))
    },
    .refuseRequest: { api, call async throws(RelayError) in
      let caller = try call.caller
      guard let user = UserID(call.parameters[1]) else { throw RelayError(.notFound, "There is no such request.") }
      try await api.services.store.refuseRequest(
        of: user, in: try call.room, by: caller.user, device: caller.device)
      return done
    },
  ]

  /// How long every answer to a request to come in takes at least.
  private static let askingTime = Duration.milliseconds(60)

  /// Answers alike, and after the same time, whether or not there is anything to ask at.
  private func ask(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let (caller, now) = (try call.caller, services.now())
    let deadline = ContinuousClock.now + Self.askingTime
    try services.throttles.code(by: caller.device, from: visitor(of: call.request), now: now)
    let body: AskRequest = try call.body()
    guard (body.code == nil) != (body.room == nil), body.code?.utf8.count ?? 0 <= 64 else {
      throw RelayError(.invalidRequest, "A code or a room is needed.")
    }
    let devices = try await services.store.ask(
      NewAsking(sender: caller.user, device: caller.device, request: body, now: now))
    if !devices.isEmpty { services.bus.publish([.look(.rooms, devices)]) }
    let rest = deadline - .now
    if rest > .zero { try? await Task.sleep(for: rest) }
    return HTTPResponse(status: 202)
  }
}
