import CryptoPrimitives
import Networking
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer

/// What may be published as a key package, and how fast they can be taken (docs/threat-model.md, classes 36 and 37).
struct KeyPackageAPITests {
  @Test func takesOnlyPackagesThatSomebodyCouldUse() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let now = Relay.wallClock() / 1000
      let day: UInt64 = 86_400
      func answer(_ package: [UInt8], asLastResort: Bool = false) async throws -> String {
        let request = KeyPackagesRequest(
          keyPackages: asLastResort ? [] : [package], lastResort: asLastResort ? package : nil)
        let response = try await fixture.call(.publishKeyPackages, token: alice.token, request)
        return response.status == 200 ? "taken" : try response.problem()
      }
      let good = alice.keyPackage(1)
      #expect(try await answer(good) == "taken")
      let bad: [(String, [UInt8])] = [
        ("nothing", []), ("rubbish", [UInt8](repeating: 0xff, count: 200)), ("cut short", Array(good.dropLast())),
        ("too much", good + [0]), ("no key package", [0, 1, 0, 3] + good.dropFirst(4)),
        ("of another version", Array(good.prefix(4)) + [0, 9] + good.dropFirst(6)),
        ("another's", bob.keyPackage(1)),
        ("over", alice.keyPackage(2, from: now - 2 * day, to: now - day)),
        ("over just now", alice.keyPackage(3, from: now - day, to: now)),
        ("not begun", alice.keyPackage(4, from: now + 2 * day, to: now + 9 * day)),
        ("backwards", alice.keyPackage(5, from: now + 9 * day, to: now - 9 * day)),
        ("too long", alice.keyPackage(6, from: now, to: now + Limits.keyPackageLifetime + 1)),
        ("for ever", alice.keyPackage(7, from: 0, to: .max)),
      ]
      for (what, package) in bad {
        for asLastResort in [false, true] {
          let said = try await answer(package, asLastResort: asLastResort)
          #expect(said == "invalid_request", "\(what)")
        }
      }
      // One bad one keeps the good ones beside it out: the device makes them all anew.
      let mixed = KeyPackagesRequest(keyPackages: [alice.keyPackage(8), bad[2].1], lastResort: nil)
      #expect(try await fixture.call(.publishKeyPackages, token: alice.token, mixed).problem() == "invalid_request")
      let many = KeyPackagesRequest(keyPackages: (0..<101).map { alice.keyPackage($0) }, lastResort: nil)
      #expect(try await fixture.call(.publishKeyPackages, token: alice.token, many).problem() == "too_large")
      let count: KeyPackageCount = try await alice.call(.countKeyPackages)
      #expect(count.oneTime == 1 && !count.hasLastResort)
      let claimed: ClaimResponse = try await bob.call(.claimKeyPackages, Route.claimKeyPackages.path("alice"))
      #expect(claimed.claimed.map(\.keyPackage.bytes) == [good])
    }
  }

  /// One account takes a few of each of many, and then none of anybody.
  @Test func boundsClaimsOfOneRequester() async throws {
    try await RelayFixture.run({ $0.limits[.claims] = Rate(burst: 4, count: 1, period: .hour) }) { fixture in
      let mallory = try await fixture.person("mallory")
      var answers: [Int] = []
      for index in 0..<6 {
        let target = try await fixture.person("target\(index)")
        answers.append(
          try await fixture.call(.claimKeyPackages, Route.claimKeyPackages.path(target.name), token: mallory.token)
            .status)
      }
      #expect(answers == [200, 200, 200, 200, 429, 429])
    }
  }

  /// One account takes those of one other, in the standard settings: most of what it publishes is left.
  @Test func boundsClaimsOfOneByOneOther() async throws {
    try await RelayFixture.run(clock: { 1_800_000_000_000 }) { fixture in
      let (alice, mallory) = (try await fixture.person("alice"), try await fixture.person("mallory"))
      let bob = try await fixture.person("bob")
      let packages = (0..<100).map { alice.keyPackage($0) }
      let _: KeyPackageCount = try await alice.call(
        .publishKeyPackages, nil, KeyPackagesRequest(keyPackages: packages, lastResort: alice.keyPackage(100)))
      let claim = Route.claimKeyPackages.path("alice")
      var refused = 0
      for _ in 0..<60 where try await fixture.call(.claimKeyPackages, claim, token: mallory.token).status == 429 {
        refused += 1
      }
      #expect(refused == 30)
      let left: KeyPackageCount = try await alice.call(.countKeyPackages)
      #expect(left.oneTime == 70 && left.hasLastResort)
      // Others are served as before.
      let served: ClaimResponse = try await bob.call(.claimKeyPackages, claim)
      #expect(served.claimed.count == 1)
    }
  }
}

extension Person {
  /// A key package of this person's device, as far as the relay looks at it; `number` makes it another one.
  func keyPackage(_ number: Int, from: UInt64? = nil, to: UInt64? = nil) -> [UInt8] {
    let now = Relay.wallClock() / 1000
    var writer = Writer()
    for field: UInt16 in [1, 5, 1, 3] { writer.write(field) }
    writer.writeVector([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32))
    writer.writeVector([UInt8](repeating: 2, count: 32))
    writer.writeVector(list.list.devices[0].signatureKey)
    writer.write(UInt16(1))
    writer.writeVector(Array("credential".utf8))
    for _ in 0..<5 { writer.writeVector([0, 1]) }
    writer.write(UInt8(1))
    writer.write(from ?? (now - 3600))
    writer.write(to ?? (now + 90 * 86_400))
    writer.writeVector([])
    writer.writeVector([UInt8](repeating: 3, count: 64))
    writer.writeVector([])
    writer.writeVector([UInt8](repeating: 4, count: 64))
    return writer.bytes
  }
}
