import CryptoPrimitives
import Testing

@Suite struct HPKETests {
  private struct Vector: Decodable {
    struct Encryption: Decodable { let aad: Hex, ct: Hex, pt: Hex }
    struct Export: Decodable {
      let exporterContext: Hex
      let length: Int
      let value: Hex
      enum CodingKeys: String, CodingKey {
        case exporterContext = "exporter_context"
        case length = "L"
        case value = "exported_value"
      }
    }
    let mode: Int
    let kem: UInt16
    let kdf: UInt16
    let aead: UInt16
    let info: Hex
    let ikmR: Hex
    let ikmE: Hex?
    let skRm: Hex
    let pkRm: Hex
    let enc: Hex
    let sharedSecret: Hex
    let encryptions: [Encryption]
    let exports: [Export]
    enum CodingKeys: String, CodingKey {
      case mode, info, ikmR, ikmE, skRm, pkRm, enc, encryptions, exports
      case kem = "kem_id"
      case kdf = "kdf_id"
      case aead = "aead_id"
      case sharedSecret = "shared_secret"
    }
  }

  /// Base mode of RFC 9180 appendix A, both sides, all messages in order, and the exports.
  @Test func agreesWithRFC9180() throws {
    guard let vectors = try Vectors.load("hpke-rfc9180.json", as: [Vector].self) else { return }
    var suites = 0
    var messages = 0
    for vector in vectors where vector.mode == 0 {
      guard let kem = KEM(rawValue: vector.kem), let aead = AEADAlgorithm(rawValue: vector.aead),
        let hash = HashAlgorithm.allCases.first(where: { $0.hpkeIdentifier == vector.kdf }), let ikmE = vector.ikmE
      else { continue }
      let hpke = HPKE(kem: kem, hash: hash, aead: aead)
      let key = try HPKEPrivateKey.deriveKeyPair(kem, inputKey: Secret(copying: vector.ikmR.bytes))
      #expect(key.publicKey == vector.pkRm.bytes && key.secret == Secret(copying: vector.skRm.bytes))
      #expect(try HPKEPrivateKey(kem: kem, serialized: Secret(copying: vector.skRm.bytes)) == key)
      let ephemeral = try HPKEPrivateKey.deriveKeyPair(kem, inputKey: Secret(copying: ikmE.bytes))
      let (secret, encapsulation) = try kem.encapsulate(to: key.publicKey, ephemeral: ephemeral)
      #expect(encapsulation == vector.enc.bytes && secret == Secret(copying: vector.sharedSecret.bytes))
      #expect(try kem.decapsulate(encapsulation, with: key) == secret)

      var sender = try hpke.setupBaseSender(to: key.publicKey, info: vector.info.bytes, ephemeral: ephemeral)
      var receiver = try hpke.setupBaseReceiver(kemOutput: vector.enc.bytes, with: key, info: vector.info.bytes)
      let kemOutput = sender.kemOutput
      #expect(kemOutput == vector.enc.bytes)
      for message in vector.encryptions {
        let sealed = try sender.seal(message.pt.bytes, associatedData: message.aad.bytes)
        let opened = try receiver.open(message.ct.bytes, associatedData: message.aad.bytes)
        #expect(sealed == message.ct.bytes && opened == message.pt.bytes)
        messages += 1
      }
      for export in vector.exports {
        let expected = Secret(copying: export.value.bytes)
        let ours = try sender.export(context: export.exporterContext.bytes, length: export.length)
        let theirs = try receiver.export(context: export.exporterContext.bytes, length: export.length)
        #expect(ours == expected && theirs == expected)
      }
      suites += 1
    }
    #expect(suites == 19 && messages == 4883)
  }

  private struct Wycheproof: Decodable {
    let tcId: Int
    let `public`: Hex
    let `private`: Hex
    let shared: Hex
  }

  @Test func x25519AgreesWithWycheproof() throws {
    guard let vectors = try Vectors.load("extra/wycheproof-x25519.json.gz", as: [Wycheproof].self) else { return }
    var refused = 0
    for vector in vectors {
      let secret = Secret(copying: vector.private.bytes)
      if vector.shared.bytes.allSatisfy({ $0 == 0 }) {
        let error = #expect(throws: CryptoError.self, "\(vector.tcId)") {
          try X25519.agree(secret, vector.public.bytes)
        }
        #expect(error?.code == .invalidPublicKey)
        refused += 1
      } else {
        #expect(try X25519.agree(secret, vector.public.bytes) == Secret(copying: vector.shared.bytes))
      }
    }
    #expect(vectors.count == 87 && refused == 28)
  }

  private static let suites = [
    HPKE(hash: .sha256, aead: .aes128GCM), HPKE(hash: .sha256, aead: .chacha20Poly1305),
    HPKE(hash: .sha512, aead: .aes256GCM),
  ]

  @Test(arguments: suites)
  func opensOnlyWhatWasSealedForIt(hpke: HPKE) throws {
    let key = HPKEPrivateKey.generate()
    let (kemOutput, ciphertext) = try hpke.seal(
      to: key.publicKey, info: [1], associatedData: [2], plaintext: Array("hello".utf8))
    let opened = try hpke.open(ciphertext, kemOutput: kemOutput, with: key, info: [1], associatedData: [2])
    #expect(opened == Array("hello".utf8))
    let secret = try hpke.openSecret(ciphertext, kemOutput: kemOutput, with: key, info: [1], associatedData: [2])
    #expect(secret == Secret(copying: Array("hello".utf8)))
    let again = try hpke.seal(to: key.publicKey, info: [1], associatedData: [2], plaintext: secret)
    #expect(again.kemOutput != kemOutput && again.ciphertext != ciphertext)

    func code(
      _ ciphertext: [UInt8], _ kemOutput: [UInt8], _ key: HPKEPrivateKey, _ info: [UInt8], _ associatedData: [UInt8]
    ) -> CryptoError.Code? {
      do throws(CryptoError) {
        _ = try hpke.open(ciphertext, kemOutput: kemOutput, with: key, info: info, associatedData: associatedData)
        return nil
      } catch { return error.code }
    }
    #expect(code(ciphertext, kemOutput, .generate(), [1], [2]) == .authenticationFailed)
    #expect(code(ciphertext, kemOutput, key, [], [2]) == .authenticationFailed)
    #expect(code(ciphertext, kemOutput, key, [1], []) == .authenticationFailed)
    #expect(code(ciphertext, again.kemOutput, key, [1], [2]) == .authenticationFailed)
    #expect(code(Array(ciphertext.dropLast()), kemOutput, key, [1], [2]) == .authenticationFailed)
    #expect(code([], kemOutput, key, [1], [2]) == .authenticationFailed)
    for count in [0, 1, 31, 33, 64] {
      #expect(code(ciphertext, Random.bytes(count), key, [1], [2]) == .invalidPublicKey)
    }
  }

  /// Every encoding of a point of small order, with the ignored top bit clear and set (RFC 7748 section 6.1).
  @Test func refusesPointsOfSmallOrder() throws {
    let hpke = Self.suites[1]
    let key = HPKEPrivateKey.generate()
    let points: [Hex] = [
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    for point in points {
      for top in [UInt8(0), 0x80] {
        var bytes = point.bytes
        bytes[31] |= top
        let sealing = #expect(throws: CryptoError.self) { try hpke.seal(to: bytes, plaintext: [1] as [UInt8]) }
        let opening = #expect(throws: CryptoError.self) {
          try hpke.open(Random.bytes(20), kemOutput: bytes, with: key)
        }
        #expect(sealing?.code == .invalidPublicKey && opening?.code == .invalidPublicKey)
      }
    }
  }

  @Test func aFailedOpeningLeavesTheContextInPlace() throws {
    let hpke = Self.suites[0]
    let key = HPKEPrivateKey.generate()
    var sender = try hpke.setupBaseSender(to: key.publicKey)
    var receiver = try hpke.setupBaseReceiver(kemOutput: sender.kemOutput, with: key)
    let first = try sender.seal([1])
    let second = try sender.seal(Secret(copying: [2]))
    #expect(first.count == second.count)
    #expect((try? receiver.open(second)) == nil)
    #expect((try? receiver.open(Random.bytes(17))) == nil)
    let openedFirst = try receiver.open(first)
    let openedSecond = try receiver.openSecret(second)
    #expect(openedFirst == [1] && openedSecond == Secret(copying: [2]))
    #expect((try? receiver.open(second)) == nil)
  }

  @Test func exportsWithinBounds() throws {
    let sender = try Self.suites[0].setupBaseSender(to: HPKEPrivateKey.generate().publicKey)
    let longest = try sender.export(context: [], length: 255 * 32)
    #expect(longest.count == 255 * 32)
    #expect((try? sender.export(context: [], length: 255 * 32 + 1)) == nil)
    #expect((try? sender.export(context: [], length: -1)) == nil)
    let one = try sender.export(context: [1], length: 32)
    let two = try sender.export(context: [2], length: 32)
    #expect(one != two)
  }

  @Test func refusesKeysOfOtherLengths() {
    for count in [0, 16, 31, 33, 64] {
      let error = #expect(throws: CryptoError.self) { try HPKEPrivateKey(serialized: .random(count: count)) }
      #expect(error?.code == .invalidPrivateKey)
      let sealing = #expect(throws: CryptoError.self) {
        try Self.suites[0].seal(to: Random.bytes(count), plaintext: [1] as [UInt8])
      }
      #expect(sealing?.code == .invalidPublicKey)
    }
  }

  @Test func suitesKnowTheirParts() throws {
    let supported = (UInt16.min...UInt16.max).filter { CipherSuite(rawValue: $0).isSupported }
    #expect(supported == Array(1...7))
    #expect(CipherSuite.supported.map(\.rawValue).sorted() == supported)
    #expect(CipherSuite.supported.first == .x25519ChaCha20Poly1305)
    let first = try CipherSuite.x25519AES128GCM.algorithms()
    #expect(first.aead == .aes128GCM && first.keySize == 16 && first.nonceSize == 12 && first.hashSize == 32)
    let third = try CipherSuite.x25519ChaCha20Poly1305.algorithms()
    #expect(third.aead == .chacha20Poly1305 && third.keySize == 32 && third.suite.rawValue == 3)
    #expect(third.hpke == HPKE(hash: .sha256, aead: .chacha20Poly1305) && third.signature == .ed25519)
    let error = #expect(throws: CryptoError.self) { try CipherSuite(rawValue: 0x0a0a).algorithms() }
    #expect(error?.code == .unsupportedCipherSuite)
  }
}
