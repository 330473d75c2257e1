import CryptoPrimitives
import Foundation
import Networking
import PostgresFixture
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer

/// What one account may try on the others, besides what the tests of each group of routes try.
struct HostileMemberTests {
  /// Whoever chooses an unlikely id for an account must not be found in everybody's place.
  @Test func nobodyIsFoundInAnothersPlace() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      for (index, id) in [UserID(high: 0, low: 0), UserID(high: .max, low: .max)].enumerated() {
        let list = try Person.newList(accountKey: .generate(), user: id)
        let response = try await fixture.call(
          .register, nil,
          RegisterRequest(username: "mallory\(index)", password: Person.password, deviceList: list.encoded))
        #expect(response.status == 201)
      }
      for name in ["alice", "\(alice.user)"] {
        let found: UserResponse = try await bob.call(.user, Route.user.path(name))
        #expect(found.user == alice.user)
        let claimed: ClaimResponse = try await bob.call(.claimKeyPackages, Route.claimKeyPackages.path(name))
        #expect(claimed.user == alice.user)
      }
      for name in ["nobody", "x", "", "00000000"] where !name.isEmpty {
        await #expect(throws: Refusal(code: "user_not_found")) {
          let _: UserResponse = try await bob.call(.user, Route.user.path(name))
        }
      }
      #expect(try await bob.contact("alice", "request") == "done")
      let contacts: ContactsResponse = try await bob.call(.contacts)
      #expect(contacts.contacts.map(\.user) == [alice.user])
    }
  }

  /// A NUL is a character of JSON and of URLs, and none of PostgreSQL's.
  @Test(arguments: StoreKind.allCases) func takesNULForNoName(_ kind: StoreKind) async throws {
    let folder = StoreFolder()
    let address = kind == .postgres ? try folder.postgres() : nil
    try await RelayFixture.run({ configuration in
      guard let address else { return }
      let file = folder.path + "/url"
      try? address.write(toFile: file, atomically: false, encoding: .utf8)
      (configuration.store, configuration.postgresURLFile) = (.postgres, file)
    }) { fixture in
      let alice = try await fixture.person("alice")
      for login in ["alice\0", "\0", "al\0ice", "alice@example.org\0"] {
        let response = try await fixture.call(
          .logIn, nil, LoginRequest(login: login, password: Person.password, device: alice.device))
        #expect(try response.problem() == "invalid_credentials")
      }
      let room = try await alice.createRoom()
      for listing in [ListingRequest(name: "Gar\0den", topic: ""), ListingRequest(name: "Garden", topic: "\0")] {
        let response = try await fixture.call(
          .publishRoom, Route.publishRoom.path("\(room)"), token: alice.token, listing)
        #expect(try response.problem() == "invalid_request")
      }
      let found = try await fixture.call(.directory, Route.directory.path + "?name=%00", token: alice.token)
      #expect(found.status == 400)
    }
  }
}
