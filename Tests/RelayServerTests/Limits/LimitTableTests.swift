import CryptoPrimitives
import FoundationEssentials
import Networking
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer

/// Every row of the table of limits on a live relay: who goes on too long hears 429 and when to come back, and the metrics
/// count it.
struct LimitTableTests {
  /// What uses a limit up: each call is one attempt by the same one whom the limit concerns, differing in all else.
  private struct Cast {
    let fixture: RelayFixture
    let alice: Person
    let bob: Person
    let carol: Person
    let garden: RoomID

    func attempt(_ limit: Limit, _ number: Int) async throws -> HTTPResponse {
      let someone = number.isMultiple(of: 2) ? bob : carol
      switch limit {
      case .registrations:
        let list = try Person.newList(accountKey: .generate())
        let request = RegisterRequest(
          username: "new\(number)", password: Person.password, deviceList: list.encoded)
        return try await fixture.call(.register, nil, request)
      case .failedLogins: return try await logIn(from: "192.0.2.1")
      case .failedLoginsOfName: return try await logIn(from: "192.0.2.\(number)")
      case .claims: return try await claim(someone, by: alice)
      case .claimsOfPair: return try await claim(bob, by: alice)
      case .claimsOfTarget: return try await claim(alice, by: someone)
      case .joinCodes: return try await fixture.call(.ask, token: alice.token, AskRequest(code: "ABCDE\(number)"))
      case .joinCodesOfAddress:
        return try await fixture.call(.ask, token: someone.token, AskRequest(code: "ABCDE\(number)"))
      case .contactRequests:
        return try await fixture.call(
          .changeContact, Route.changeContact.path(someone.name, "request"), token: alice.token)
      case .sends, .sendsOfDevice, .kilobytes:
        let room = try await alice.createRoom()
        return try await send(to: room, by: alice)
      case .sendsOfRoom, .kilobytesOfRoom:
        return try await send(to: garden, by: number.isMultiple(of: 2) ? alice : bob)
      }
    }

    private func send(to room: RoomID, by person: Person) async throws -> HTTPResponse {
      let request = SendRequest(
        sendID: .random(), epoch: room == garden ? 1 : 0, message: [UInt8](repeating: 1, count: 1024))
      return try await fixture.call(.send, Route.send.path("\(room)"), token: person.token, request)
    }

    private func claim(_ target: Person, by person: Person) async throws -> HTTPResponse {
      try await fixture.call(
        .claimKeyPackages, Route.claimKeyPackages.path("\(target.user)"), token: person.token)
    }

    private func logIn(from address: String) async throws -> HTTPResponse {
      let request = LoginRequest(login: "alice", password: "a wrong guess", device: alice.device)
      return try await fixture.raw(
        "POST", Route.logIn.path, body: Array(try JSONEncoder().encode(request)),
        headers: ["X-Forwarded-For": address])
    }
  }

  @Test(arguments: Limit.allCases) func isKeptOnTheWire(_ limit: Limit) async throws {
    // Three people register, and one commit and its kilobytes make the room, before the attempts begin.
    let before =
      switch limit {
      case .registrations: 3
      case .sendsOfRoom, .kilobytesOfRoom: 1
      default: 0
      }
    try await RelayFixture.run({
      $0.limits[limit] = Rate(burst: before + 2, count: 1, period: .hour)
      $0.trustedProxies = ["127.0.0.1"].compactMap { AddressRange($0) }
      $0.metricsAddress = ListenAddress(host: "127.0.0.1", port: 0)
    }) { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let carol = try await fixture.person("carol")
      var garden = RoomID.random()
      if before == 1 {
        garden = try await alice.createRoom()
        try await alice.commit(garden, epoch: 0, add: [bob])
      }
      let cast = Cast(fixture: fixture, alice: alice, bob: bob, carol: carol, garden: garden)
      for number in 0..<2 {
        let response = try await cast.attempt(limit, number)
        #expect(response.status != 429, "\(limit) \(number)")
      }
      for number in 2..<4 {
        let response = try await cast.attempt(limit, number)
        #expect(try response.problem() == "rate_limited", "\(limit) \(number)")
        let wait = response.headers["Retry-After"].flatMap { Int($0) } ?? 0
        #expect((1...3600 * 3).contains(wait), "\(limit): Retry-After is \(wait)")
      }
      let page = try await fixture.client.send(
        HTTPClientRequest(.get, try WebURL("http://127.0.0.1:\(fixture.relay.metricsPort)/metrics")))
      let line = "kin_rate_limited_total{kind=\"\(limit.kind.labelValue)\"} 2\n"
      #expect(String(decoding: page.body, as: UTF8.self).contains(line), "\(limit)")
    }
  }
}
