import Networking
import RelayProtocol
import Testing

@testable import RelayServer

extension Person {
  /// The status of a call to a contact's route, or the code of its refusal.
  func contact(_ name: String, _ change: String) async throws -> String {
    let response = try await fixture.call(
      .changeContact, Route.changeContact.path(name, change), token: token)
    return response.status == 204 ? "done" : try response.problem()
  }

  func contactStates() async throws -> [String: String] {
    let response: ContactsResponse = try await call(.contacts)
    return Dictionary(uniqueKeysWithValues: response.contacts.map { ($0.username, $0.state) })
  }

  func presence(of people: Person...) async throws -> [String] {
    let response: PresenceResponse = try await call(.queryPresence, nil, PresenceQuery(users: people.map(\.user)))
    return response.users.map(\.status)
  }

  func becomeContacts(with other: Person) async throws {
    #expect(try await contact(other.name, "request") == "done")
    #expect(try await other.contact(name, "accept") == "done")
  }
}
