import CryptoPrimitives
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// Pins and safety numbers, without a relay.
@Suite struct TrustTests {
  private let key = SigningKey.generate()
  private let user = UserID(high: 1, low: 2)

  private func entry(_ number: UInt64) -> DeviceEntry {
    DeviceEntry(
      device: DeviceID(high: 0, low: number), signatureKey: [UInt8](repeating: UInt8(number), count: 32),
      name: "device \(number)", added: 1)
  }

  private func list(
    _ number: UInt64, devices: [UInt64] = [1], previous: [UInt8] = [], user: UserID? = nil, key: SigningKey? = nil,
    signer: SigningKey? = nil
  ) throws -> SignedDeviceList {
    let key = key ?? self.key
    let list = DeviceList(
      user: user ?? self.user, accountKey: key.publicKey, number: number, previous: previous, issued: 1,
      devices: devices.map { entry($0) })
    return SignedDeviceList(
      list: list, signature: try (signer ?? key).sign(SignedDeviceList.signedBytes(of: list)))
  }

  private func weigh(_ list: SignedDeviceList, against pin: Pin?) -> Pin.Outcome {
    Pin.weigh(list, username: "bob", expecting: user, pinned: pin).outcome
  }

  @Test func firstSightIsPinned() throws {
    let first = try list(1)
    let (outcome, pin) = Pin.weigh(first, username: "bob", expecting: user, pinned: nil)
    #expect(outcome == .first && pin?.accountKey == key.publicKey && pin?.isVerified == false)
    #expect(weigh(first, against: pin) == .unchanged)
  }

  @Test func listsOnlyGrow() throws {
    let second = try list(2, previous: try list(1).hash)
    let pin = Pin(username: "bob", list: second)
    #expect(weigh(try list(1), against: pin) == .rolledBack)
    #expect(weigh(try list(2, devices: [1, 2], previous: second.list.previous), against: pin) == .rolledBack)
    #expect(weigh(try list(3, previous: [9]), against: pin) == .rolledBack)
    #expect(weigh(try list(3, devices: [1, 2], previous: second.hash), against: pin) == .newer(added: [entry(2)]))
    // What lies between was not seen and cannot be checked.
    #expect(weigh(try list(5, devices: [], previous: [9]), against: pin) == .newer(added: []))
  }

  @Test func forgedListsAreRefused() throws {
    let pin = Pin(username: "bob", list: try list(1))
    let other = SigningKey.generate()
    #expect(weigh(try list(2, signer: other), against: pin) == .forged)
    #expect(weigh(try list(1, user: UserID(high: 9, low: 9)), against: nil) == .forged)
    #expect(weigh(try list(2, devices: [1, 1]), against: pin) == .forged)
    #expect(weigh(try list(0), against: nil) == .forged)
    var damaged = try list(2, previous: pin.list.hash)
    damaged.list.issued += 1
    #expect(weigh(damaged, against: pin) == .forged)
  }

  @Test func anotherAccountKeyWaitsToBeAccepted() throws {
    var pin = Pin(username: "bob", list: try list(4))
    pin.isVerified = true
    let strange = try list(1, key: .generate())
    let (outcome, changed) = Pin.weigh(strange, username: "bob", expecting: user, pinned: pin)
    var waiting = try #require(changed)
    #expect(outcome == .identityChanged && waiting.blocksSending && waiting.accountKey == key.publicKey)
    waiting.acceptCandidate()
    #expect(!waiting.blocksSending && !waiting.isVerified && waiting.accountKey == strange.list.accountKey)
    #expect(try Pin(decoding: changed?.encoded ?? []) == changed)
  }

  @Test func safetyNumberIsTheSameForBothAndForNobodyElse() throws {
    let (left, right) = ((user, key.publicKey), (UserID(high: 3, low: 4), SigningKey.generate().publicKey))
    let number = SafetyDigits.number(left, right)
    #expect(number == SafetyDigits.number(right, left))
    #expect(number.utf8.count == 60 && number.allSatisfy(\.isNumber))
    #expect(number != SafetyDigits.number(left, (right.0, SigningKey.generate().publicKey)))
    #expect(number != SafetyDigits.number(left, (UserID(high: 3, low: 5), right.1)))
    // Fixed, so that a change of the recipe is seen: two versions must show the same.
    let fixed = SafetyDigits.half(user: user, accountKey: [UInt8](repeating: 7, count: 32))
    #expect(fixed.utf8.count == 30)
    let shown = SafetyNumber(
      digits: number, person: Person(id: user, username: "bob"), isVerified: false, hasChanged: false)
    #expect(shown.groups.count == 12 && shown.groups.joined() == number)
  }

  @Test func secretsAreNotPrinted() {
    var shown = ""
    dump(Passphrase("hunter2"), to: &shown)
    dump(Password("hunter2"), to: &shown)
    shown +=
      "\(Passphrase("hunter2")) \(Password("hunter2")) \(StoreLocation.file("x", passphrase: Passphrase("hunter2")))"
    #expect(!shown.contains("hunter2"))
  }
}
