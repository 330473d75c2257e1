import Networking
import RelayProtocol

/// What owners decide over a room as a whole, and the list of rooms that they show.
extension API {
  static let directory: [Route: Endpoint] = [
    .publishRoom: { api, call async throws(RelayError) in
      let caller = try call.caller
      let body: ListingRequest = try call.body()
      guard (1...Limits.listingName).contains(body.name.utf8.count), body.topic.utf8.count <= Limits.listingTopic else {
        throw RelayError(.invalidRequest, "The name or the topic is too long or empty.")
      }
      guard !body.name.utf8.contains(0), !body.topic.utf8.contains(0) else {
        throw RelayError(.invalidRequest, "A NUL is no part of a name or a topic.")
      }
      try await api.services.store.publish(body, of: try call.room, by: caller.user, device: caller.device)
      return done
    },
    .withdrawRoom: { api, call async throws(RelayError) in
      let caller = try call.caller
      try await api.services.store.withdraw(try call.room, by: caller.user, device: caller.device)
      return done
    },
    .directory: { api, call async throws(RelayError) in
      let name = call.request.query("name") ?? ""
      let limit: Int = try call.number("limit", default: Limits.directoryPage)
      guard name.utf8.count <= Limits.listingName else {
        throw RelayError(.invalidRequest, "The name is too long.")
      }
      return try json(
        try await api.services.store.directory(
          name: name, after: call.request.query("after"), limit: min(max(limit, 1), Limits.directoryPage)))
    },
    .deleteRoom: { api, call async throws(RelayError) in
      let (caller, room) = (try call.caller, try call.room)
      let body: DeleteRoomRequest = try call.body()
      guard body.proof.bytes.count <= Limits.deletionProof else {
        throw RelayError(.tooLarge, "The proof is too long.")
      }
      let devices = try await api.services.store.deleteRoom(
        room, proof: body.proof.bytes, by: caller.user, device: caller.device, now: api.services.now())
      api.services.bus.publish([.look(.rooms, devices)])
      return done
    },
  ]
}
