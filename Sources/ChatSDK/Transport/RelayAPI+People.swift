import RelayProtocol
import WireCodec

extension RelayAPI {
  func putDevices(_ list: SignedDeviceList) async throws {
    _ = try await authorized(.putDevices, body: encode(DeviceListRequest(deviceList: list.encoded)))
  }

  func me() async throws -> AccountResponse { try decode(try await authorized(.me)) }

  func setProfile(_ body: ProfileBody) async throws { _ = try await authorized(.putProfile, body: encode(body)) }

  func sessions() async throws -> [SessionsResponse.Session] {
    (try decode(try await authorized(.sessions)) as SessionsResponse).sessions
  }

  func endSession(_ id: String) async throws {
    do { _ = try await authorized(.endSession, id) } catch let error as ChatError where error.relayCode == .notFound {
      throw ChatError(.sessionNotFound, underlying: error)
    }
  }

  func endSessions() async throws { _ = try await authorized(.endSessions) }

  func contacts() async throws -> [ContactsResponse.Contact] {
    (try decode(try await authorized(.contacts)) as ContactsResponse).contacts
  }

  func changeContact(_ user: String, _ change: String) async throws {
    _ = try await authorized(.changeContact, user, change)
  }

  func setPresence(_ request: PresenceRequest) async throws {
    _ = try await authorized(.putPresence, body: encode(request))
  }

  func presence(of users: [UserID]) async throws -> [PresenceResponse.Presence] {
    (try decode(try await authorized(.queryPresence, body: encode(PresenceQuery(users: users)))) as PresenceResponse)
      .users
  }
}
