import Networking
import RelayProtocol

extension API {
  static let welcomes: [Route: Endpoint] = [
    .welcomes: { api, call async throws(RelayError) in
      try json(WelcomesResponse(welcomes: try await api.services.store.welcomes(for: try call.caller.device)))
    },
    .deleteWelcome: { api, call async throws(RelayError) in
      guard let id = UInt64(call.parameters[0]) else { throw RelayError(.notFound, "There is no such Welcome.") }
      try await api.services.store.deleteWelcome(id, for: try call.caller.device)
      return done
    },
  ]
}
