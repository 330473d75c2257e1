import CryptoPrimitives
import Testing

@Suite struct SignatureTests {
  private struct Wycheproof: Decodable {
    struct Group: Decodable {
      struct Key: Decodable { let pk: Hex, sk: Hex }
      struct Case: Decodable { let tcId: Int, comment: String, msg: Hex, sig: Hex, result: String }
      let key: Key
      let tests: [Case]
    }
    let testGroups: [Group]
    let numberOfTests: Int
  }

  @Test func agreesWithWycheproof() throws {
    guard let vectors = try Vectors.load("extra/wycheproof-ed25519.json.gz", as: Wycheproof.self) else { return }
    var count = 0
    for group in vectors.testGroups {
      let signer = try SigningKey(seed: Secret(copying: group.key.sk.bytes))
      #expect(signer.publicKey == group.key.pk.bytes)
      for test in group.tests {
        let valid = SignatureScheme.ed25519.verify(
          publicKey: group.key.pk.bytes, message: test.msg.bytes, signature: test.sig.bytes)
        #expect(valid == (test.result == "valid"), "\(test.tcId) \(test.comment)")
        // Ed25519 is deterministic: what is valid is what we would have signed.
        if test.result == "valid" { #expect(try signer.sign(test.msg.bytes) == test.sig.bytes) }
        count += 1
      }
    }
    #expect(count == vectors.numberOfTests && count == 145)
  }

  @Test func verifiesOnlyWhatItSigned() throws {
    let key = SigningKey.generate()
    let message = Random.bytes(100)
    let signature = try key.sign(message)
    #expect(key.verifyingKey.isValidSignature(signature, for: message))
    #expect(!SigningKey.generate().verifyingKey.isValidSignature(signature, for: message))
    #expect(!key.verifyingKey.isValidSignature(signature, for: message + [0]))
    for length in 0..<signature.count {
      #expect(!key.verifyingKey.isValidSignature(Array(signature[..<length]), for: message))
    }
    #expect(!key.verifyingKey.isValidSignature(signature + [0], for: message))
    for bit in 0..<signature.count * 8 {
      var changed = signature
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!key.verifyingKey.isValidSignature(changed, for: message))
    }
    let empty = try key.sign([])
    #expect(key.verifyingKey.isValidSignature(empty, for: []))
  }

  /// Under the neutral element as public key, the neutral element with scalar zero would sign everything.
  @Test func refusesPublicKeysOfSmallOrder() {
    let neutral: [UInt8] = [1] + [UInt8](repeating: 0, count: 31)
    let forged = neutral + [UInt8](repeating: 0, count: 32)
    #expect(!SignatureScheme.ed25519.verify(publicKey: neutral, message: [1, 2, 3], signature: forged))
    let zero = [UInt8](repeating: 0, count: 32)
    #expect(!SignatureScheme.ed25519.verify(publicKey: zero, message: [1, 2, 3], signature: zero + zero))
  }

  /// Two signatures under a key with a part of order eight. By RFC 8032 section 5.1.7 a verifier may multiply by the cofactor,
  /// which makes both valid, or not, which refuses the first. All members of a group must do the same: ours do not.
  @Test func verifiesWithoutTheCofactor() {
    let key = hex("cca551fbdf2df9e926527a60b7fe7a3c4efcb0f66465d73da2627f91421f74f4")
    let commitment = hex("c08f0e87522d0821cef4bfd20eb6e2732abbf88e93a1da35ff9712c43be8c7a9")
    let withTorsion = hex("feb587a114bcb9d48d548b689d08ce7480b798bef74a99b0a64d129ce56a8e03")
    let without = hex("17fbf109a17dce4ecc374459d3fbec456558b4def2edc99b41c3594844a71105")
    #expect(!SignatureScheme.ed25519.verify(publicKey: key, message: [0], signature: commitment + withTorsion))
    #expect(SignatureScheme.ed25519.verify(publicKey: key, message: [19], signature: commitment + without))
  }

  @Test func restoresFromSeedAndFromPair() throws {
    let key = SigningKey.generate()
    #expect(try SigningKey(seed: key.seed) == key)
    let pair = Secret(concatenating: [key.seed, Secret(copying: key.publicKey)])
    #expect(try SigningKey(seed: pair) == key)
    #expect(SigningKey.generate() != key)
    // A foreign public half is refused, for signing with it would reveal the seed.
    let mixed = Secret(concatenating: [key.seed, Secret(copying: SigningKey.generate().publicKey)])
    for seed in [mixed, .empty, .random(count: 31), .random(count: 33), .random(count: 63), .random(count: 65)] {
      let error = #expect(throws: CryptoError.self) { try SigningKey(seed: seed) }
      #expect(error?.code == .invalidPrivateKey)
    }
  }

  @Test func refusesPublicKeysOfOtherLengths() throws {
    let key = SigningKey.generate()
    let signature = try key.sign([1])
    for count in 0...64 where count != 32 {
      let wrong = Array((key.publicKey + key.publicKey)[..<count])
      #expect(throws: CryptoError.self) { try VerifyingKey(scheme: .ed25519, bytes: wrong) }
      #expect(!SignatureScheme.ed25519.verify(publicKey: wrong, message: [1], signature: signature))
    }
  }
}
