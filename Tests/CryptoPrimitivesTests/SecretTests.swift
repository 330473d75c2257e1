import CryptoPrimitives
import Foundation
import Synchronization
import Testing

@Suite struct SecretTests {
  @Test func showsNothingWhenPrinted() {
    let secret = Secret(copying: Array("squeamish".utf8))
    struct Holder { let secret: Secret }
    var dumped = ""
    dump(Holder(secret: secret), to: &dumped)
    let texts = [
      "\(secret)", String(describing: secret), String(reflecting: secret), secret.debugDescription,
      "\(Holder(secret: secret))", "\([secret])", dumped,
    ]
    for text in texts {
      #expect(text.contains("redacted"))
      // Neither as text nor as a list of numbers ("s" is 115, "q" is 113).
      #expect(!text.contains("squeamish") && !text.contains("115") && !text.contains("113"))
    }
    #expect(Mirror(reflecting: secret).children.isEmpty)
  }

  @Test func keyTypesShowNothingWhenPrinted() throws {
    let signing = SigningKey.generate()
    let opening = HPKEPrivateKey.generate()
    var dumped = ""
    dump(signing, to: &dumped)
    dump(opening, to: &dumped)
    #expect(dumped.contains("redacted"))
    let seed = signing.seed.withBytes { $0.map { String($0) } }.joined(separator: ", ")
    #expect(!"\(signing)".contains(seed) && !"\(opening)".contains(seed))
  }

  #if DEBUG
  @Test func isWipedOnlyWhenTheLastCopyGoes() {
    let seen = Mutex<[[UInt8]]>([])
    func use() {
      var first: Secret? = Secret(copying: [1, 2, 3, 4])
      first?.observeWipe { bytes in seen.withLock { $0.append(bytes) } }
      let second = first
      first = nil
      #expect(seen.withLock { $0.isEmpty })
      #expect(second?.withBytes { [UInt8]($0) } == [1, 2, 3, 4])
    }
    use()
    #expect(seen.withLock { $0 } == [[0, 0, 0, 0]])
  }
  #endif

  @Test func comparesEveryBit() {
    let original = Random.bytes(33)
    #expect(Secret(copying: original) == Secret(copying: original))
    for bit in 0..<original.count * 8 {
      var other = original
      other[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(Secret(copying: original) != Secret(copying: other))
      #expect(!ConstantTime.equal(original, other))
    }
    #expect(ConstantTime.equal(original, original))
    for length in 0..<original.count {
      #expect(!ConstantTime.equal(original, Array(original[..<length])))
      #expect(Secret(copying: Array(original[..<length])) != Secret(copying: original))
    }
    #expect(ConstantTime.equal([], []) && Secret.empty == Secret(copying: []))
  }

  @Test func slicesAndJoins() {
    let secret = Secret(copying: [0, 1, 2, 3, 4])
    #expect(secret.slice(1..<4) == Secret(copying: [1, 2, 3]))
    #expect(secret.slice(5..<5) == .empty)
    #expect(Secret(concatenating: [secret.slice(0..<2), .empty, secret.slice(2..<5)]) == secret)
    #expect(Secret.zeros(count: 3) == Secret(copying: [0, 0, 0]))
    #expect(secret.count == 5 && Secret.empty.isEmpty)
  }

  @Test func passesTypedErrorsOn() {
    struct Refused: Error {}
    #expect(throws: Refused.self) { try Secret(count: 4) { _ throws(Refused) in throw Refused() } }
    #expect(throws: Refused.self) { try Secret.empty.withBytes { _ throws(Refused) in throw Refused() } }
  }

  @Test func randomBytesDiffer() {
    #expect(Secret.random(count: 32) != Secret.random(count: 32))
    #expect(Set((0..<1000).map { _ in Random.bytes(16) }).count == 1000)
    #expect(Set((0..<1000).map { _ in Random.uint64() }).count == 1000)
    #expect(Set((0..<1000).map { _ in Random.uint32() }).count > 990)
    #expect(Random.bytes(0).isEmpty)
    // Both halves of a 64-bit number are random: over 64 draws each bit is set at least once.
    #expect((0..<64).reduce(UInt64(0)) { bits, _ in bits | Random.uint64() } == .max)
  }

  @Test func guardedKeyHoldsACopy() throws {
    for count in [1, 32, 5000] {
      let secret = Secret.random(count: count)
      let key = try GuardedKey(copying: secret)
      let copied = key.withBytes { Secret(copying: $0) }
      #expect(copied == secret)
      #expect(key.count == count)
    }
  }

  @Test func errorsAreEqualByCodeAndSayWhatToDo() throws {
    func failure(_ body: () throws -> Void) -> CryptoError? {
      do { try body() } catch { return error as? CryptoError }
      return nil
    }
    let first = failure { _ = try VerifyingKey(scheme: .ed25519, bytes: []) }
    let second = failure { _ = try HPKE(hash: .sha256, aead: .aes128GCM).seal(to: [], plaintext: [] as [UInt8]) }
    #expect(first?.code == .invalidPublicKey)
    #expect(first == second)
    #expect(first?.line != second?.line)
    #expect(first?.code.family == .rejected)
    #expect(first?.description.contains("Discard") == true)
    #expect(CryptoError.Code.invalidKeyLength != .invalidNonceLength)
  }
}
