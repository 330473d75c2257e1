import CryptoPrimitives
import Testing

@Suite struct HPKETests {
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
    HPKE(hash: .sha512, aead: .aes256GCM), HPKE(kem: .dhkemP256, hash: .sha256, aead: .aes128GCM),
    HPKE(kem: .dhkemP384, hash: .sha384, aead: .aes256GCM), HPKE(kem: .dhkemP521, hash: .sha512, aead: .aes256GCM),
    HPKE(kem: .dhkemX448, hash: .sha512, aead: .chacha20Poly1305),
  ]

  @Test(arguments: suites)
  func opensOnlyWhatWasSealedForIt(hpke: HPKE) throws {
    let key = HPKEPrivateKey.generate(hpke.kem)
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
    #expect(code(ciphertext, kemOutput, .generate(hpke.kem), [1], [2]) == .authenticationFailed)
    #expect(code(ciphertext, kemOutput, key, [], [2]) == .authenticationFailed)
    #expect(code(ciphertext, kemOutput, key, [1], []) == .authenticationFailed)
    #expect(code(ciphertext, again.kemOutput, key, [1], [2]) == .authenticationFailed)
    #expect(code(Array(ciphertext.dropLast()), kemOutput, key, [1], [2]) == .authenticationFailed)
    #expect(code([], kemOutput, key, [1], [2]) == .authenticationFailed)
    for count in 0...140 where count != hpke.kem.encapsulationSize {
      #expect(code(ciphertext, Random.bytes(count), key, [1], [2]) == .invalidPublicKey)
    }
    let other = HPKEPrivateKey.generate(hpke.kem == .dhkemX448 ? .dhkemP256 : .dhkemX448)
    #expect(code(ciphertext, kemOutput, other, [1], [2]) == .invalidPrivateKey)
    // An info that was hashed before leads to the same.
    let prepared = try hpke.seal(to: key.publicKey, info: hpke.prepare(info: [1]), plaintext: secret)
    #expect(try hpke.openSecret(prepared.ciphertext, kemOutput: prepared.kemOutput, with: key, info: [1]) == secret)
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
    var sender = try hpke.setupSender(to: key.publicKey)
    var receiver = try hpke.setupReceiver(kemOutput: sender.kemOutput, with: key)
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
    let sender = try Self.suites[0].setupSender(to: HPKEPrivateKey.generate().publicKey)
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

  /// A message opens in its own mode only, from its own sender, under its own pre-shared key.
  @Test(arguments: suites)
  func opensOnlyInTheModeItWasSealedIn(hpke: HPKE) throws {
    let key = HPKEPrivateKey.generate(hpke.kem)
    let senders = [HPKEPrivateKey.generate(hpke.kem), .generate(hpke.kem)]
    let secret = Secret.random(count: 32)
    let psks = [
      try HPKEPreSharedKey(key: secret, id: [1]), try HPKEPreSharedKey(key: secret, id: [2]),
      try HPKEPreSharedKey(key: .random(count: 32), id: [1]),
    ]
    let sending: [HPKESenderMode] =
      [.base] + psks.map { .psk($0) } + senders.map { .auth($0) }
      + senders.flatMap { sender in psks.map { .authPSK(sender, $0) } }
    let receiving: [HPKEReceiverMode] =
      [.base] + psks.map { .psk($0) } + senders.map { .auth($0.publicKey) }
      + senders.flatMap { sender in psks.map { .authPSK(sender.publicKey, $0) } }
    for (place, mode) in sending.enumerated() {
      let (kemOutput, ciphertext) = try hpke.seal(to: key.publicKey, mode: mode, plaintext: [7] as [UInt8])
      for (other, expected) in receiving.enumerated() {
        let opened = try? hpke.open(ciphertext, kemOutput: kemOutput, with: key, mode: expected)
        #expect(opened == (place == other ? [7] : nil))
        let secret = try? hpke.openSecret(ciphertext, kemOutput: kemOutput, with: key, mode: expected)
        #expect((secret != nil) == (place == other))
      }
    }
    #expect(throws: CryptoError.self) {
      try hpke.open([], kemOutput: key.publicKey, with: key, mode: .auth([UInt8](repeating: 0, count: 200)))
    }
    let foreign = HPKEPrivateKey.generate(hpke.kem == .dhkemX448 ? .dhkemP256 : .dhkemX448)
    let error = #expect(throws: CryptoError.self) {
      try hpke.setupSender(to: key.publicKey, mode: .auth(foreign)).kemOutput
    }
    #expect(error?.code == .invalidPrivateKey)
  }

  @Test func preSharedKeysAreStrongAndNamed() {
    for count in [0, 1, 16, 31] {
      let error = #expect(throws: CryptoError.self) { try HPKEPreSharedKey(key: .random(count: count), id: [1]) }
      #expect(error?.code == .invalidKeyLength)
    }
    let error = #expect(throws: CryptoError.self) { try HPKEPreSharedKey(key: .random(count: 32), id: []) }
    #expect(error?.code == .invalidLength)
  }

  @Test(arguments: KEM.allCases)
  func aSuiteWithoutCipherOnlyExports(kem: KEM) throws {
    let hpke = HPKE(kem: kem, hash: .sha256, aead: nil)
    let key = HPKEPrivateKey.generate(kem)
    var sender = try hpke.setupSender(to: key.publicKey, info: [3])
    var receiver = try hpke.setupReceiver(kemOutput: sender.kemOutput, with: key, info: [3])
    let (ours, theirs) = (
      try sender.export(context: [1], length: 70), try receiver.export(context: [1], length: 70)
    )
    #expect(ours == theirs && ours.count == 70)
    func code(_ body: () throws -> Void) -> CryptoError.Code? {
      do { try body() } catch { return (error as? CryptoError)?.code }
      return nil
    }
    let kemOutput = sender.kemOutput
    #expect(code { _ = try sender.seal([1] as [UInt8]) } == .exportOnly)
    #expect(code { _ = try receiver.open(Random.bytes(17)) } == .exportOnly)
    #expect(code { _ = try hpke.seal(to: key.publicKey, plaintext: Secret.empty) } == .exportOnly)
    #expect(code { _ = try hpke.open(Random.bytes(17), kemOutput: kemOutput, with: key) } == .exportOnly)
    #expect(
      code { _ = try hpke.seal(to: key.publicKey, info: hpke.prepare(info: []), plaintext: .empty) } == .exportOnly)
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
    // RFC 9420 section 17.1, table 7.
    let parts: [(CipherSuite, UInt16, HashAlgorithm, UInt16, UInt16)] = [
      (.x25519AES128GCM, 0x0020, .sha256, 1, 0x0807), (.p256AES128GCM, 0x0010, .sha256, 1, 0x0403),
      (.x25519ChaCha20Poly1305, 0x0020, .sha256, 3, 0x0807), (.x448AES256GCM, 0x0021, .sha512, 2, 0x0808),
      (.p521AES256GCM, 0x0012, .sha512, 2, 0x0603), (.x448ChaCha20Poly1305, 0x0021, .sha512, 3, 0x0808),
      (.p384AES256GCM, 0x0011, .sha384, 2, 0x0503),
    ]
    for (number, (suite, kem, hash, aead, signature)) in parts.enumerated() {
      let found = try suite.algorithms()
      #expect(Int(suite.rawValue) == number + 1)
      #expect(found.kem.rawValue == kem && found.hash == hash)
      #expect(found.aead.rawValue == aead && found.signature.rawValue == signature)
    }
    let error = #expect(throws: CryptoError.self) { try CipherSuite(rawValue: 0x0a0a).algorithms() }
    #expect(error?.code == .unsupportedCipherSuite)
  }
}
