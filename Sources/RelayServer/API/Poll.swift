import Networking
import Observability
import RelayProtocol

extension API {
  static let poll: [Route: Endpoint] = [
    .poll: { api, call async throws(RelayError) in try await api.poll(call) }
  ]

  private func poll(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let caller = try call.caller
    let body: PollRequest = try call.body()
    guard body.cursors.count <= Limits.cursorsPerFollow, Set(body.cursors.map(\.room)).count == body.cursors.count,
      body.wait.isFinite
    else { throw RelayError(.invalidRequest, "The cursors are too many or not distinct.") }
    guard services.counts.enter(caller.user) else {
      services.instruments.limits[.connections].add()
      throw RelayError(.rateLimited, "Too many connections.", retryAfter: 5)
    }
    defer { services.counts.leave(caller.user) }
    services.instruments.polls.add()
    defer { services.instruments.polls.subtract() }

    // Registered before the first look: what happens after that look rings.
    let ticket = services.polls.register(rooms: body.cursors.map(\.room), caller: caller)
    defer { services.polls.remove(ticket) }
    let seconds = min(max(body.wait, 0), Limits.longPollSeconds)
    let deadline = ContinuousClock.now + .milliseconds(Int64(seconds * 1000))
    while true {
      let response = try await look(body, caller)
      let hasNews =
        !response.ahead.isEmpty || !response.gone.isEmpty || response.welcomes > 0
        || response.requests ?? 0 > body.requests ?? .max
      if hasNews || services.polls.isClosed || Task.isCancelled || ContinuousClock.now >= deadline {
        return try Self.json(response)
      }
      // Set anew for each wait: a loop counts in whole milliseconds, and may ring a little before the deadline.
      let timer = services.timers.schedule(after: deadline - .now + .milliseconds(1)) { ticket.ring() }
      defer { timer.cancel() }
      await withTaskCancellationHandler {
        await ticket.wait()
      } onCancel: {
        ticket.ring()
      }
      // The session may have been what ended.
      try await services.authenticator.sessions.check(caller, now: services.now())
    }
  }

  private func look(_ request: PollRequest, _ caller: Caller) async throws(RelayError) -> PollResponse {
    let rooms = try await services.store.rooms(of: caller.user)
    let byRoom = Dictionary(rooms.map { ($0.room, $0) }, uniquingKeysWith: { first, _ in first })
    var response = PollResponse(ahead: [], gone: [], welcomes: 0)
    for cursor in request.cursors {
      guard let room = byRoom[cursor.room] else {
        response.gone.append(cursor.room)
        continue
      }
      // A cursor past the end belongs to a log that this one is not.
      if room.position != cursor.position { response.ahead.append(room) }
    }
    response.welcomes = try await services.store.welcomes(for: caller.device).count
    response.requests = try await services.store.newestAsking(for: caller.user)
    return response
  }
}
