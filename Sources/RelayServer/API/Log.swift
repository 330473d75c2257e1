import Networking
import RelayProtocol

extension API {
  static let log: [Route: Endpoint] = [
    .send: { api, call async throws(RelayError) in
      let (caller, room) = (try call.caller, try call.room)
      let body: SendRequest = try call.body()
      guard body.kind.isSent else { throw RelayError(.invalidRequest, "Such an entry is not sent here.") }
      let now = api.services.now()
      try api.services.throttles.send(
        by: caller.user, caller.device, to: room, bytes: body.message.bytes.count, now: now)
      return try json(
        try await api.services.writer.append(
          NewMessage(room: room, sender: caller.user, device: caller.device, request: body, now: now)
        ).response)
    },
    .log: { api, call async throws(RelayError) in
      let (caller, room) = (try call.caller, try call.room)
      let limit: Int = try call.number("limit", default: Limits.entriesPerPage)
      let incarnation: UInt64 = try call.number("incarnation", default: api.services.store.incarnation)
      let page = try await api.services.store.entries(
        of: room, after: try call.number("after", default: 0), limit: min(max(limit, 1), Limits.entriesPerPage),
        bytes: Limits.bytesPerPage, for: caller.user)
      // After the look at the store: to all but members there is no room, whatever they ask.
      guard incarnation == api.services.store.incarnation else {
        throw RelayError(.incarnationChanged, "The log began anew.")
      }
      return try json(page)
    },
  ]
}
