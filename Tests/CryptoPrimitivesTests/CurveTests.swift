import CryptoPrimitives
import Foundation
import Testing

/// The curves on OpenSSL: keys and points that must be refused, and agreement with OpenSSL's command line.
@Suite struct CurveTests {
  private static let ecdsa: [SignatureScheme] = [.ecdsaSecp256r1SHA256, .ecdsaSecp384r1SHA384, .ecdsaSecp521r1SHA512]
  private static let nist: [KEM] = [.dhkemP256, .dhkemP384, .dhkemP521]

  /// The orders of P-256, P-384 and P-521 (SEC 2).
  private static func order(_ size: Int) -> [UInt8] {
    switch size {
    case 32: hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    case 48:
      hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973")
    default:
      hex(
        """
        01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa
        51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409
        """)
    }
  }

  /// The same number plus or minus one, where no carry occurs.
  private static func moved(_ number: [UInt8], by step: Int) -> [UInt8] {
    var moved = number
    moved[moved.count - 1] = UInt8(Int(moved[moved.count - 1]) + step)
    return moved
  }

  @Test(arguments: nist)
  func privateNumbersLieBelowTheOrder(kem: KEM) throws {
    let order = Self.order(kem.privateKeySize)
    let zero = [UInt8](repeating: 0, count: kem.privateKeySize)
    let scheme = try #require(Self.ecdsa.first { $0.privateKeySize == kem.privateKeySize })
    let all = [UInt8](repeating: 0xff, count: kem.privateKeySize)
    for bad in [zero, order, Self.moved(order, by: 1), all, [], [0], zero + [1], [0] + Self.moved(order, by: -1)] {
      let opening = #expect(throws: CryptoError.self) { try HPKEPrivateKey(kem: kem, serialized: Secret(copying: bad)) }
      let signing = #expect(throws: CryptoError.self) { try SigningKey(scheme: scheme, seed: Secret(copying: bad)) }
      #expect(opening?.code == .invalidPrivateKey && signing?.code == .invalidPrivateKey)
    }
    for good in [Self.moved(zero, by: 1), Self.moved(order, by: -1), [1], [2, 3]] {
      let key = try HPKEPrivateKey(kem: kem, serialized: Secret(copying: good))
      #expect(kem.isValidPublicKey(key.publicKey))
      // Leading zeros may be missing, and come back.
      #expect(key.secret.count == kem.privateKeySize)
      #expect(try SigningKey(scheme: scheme, seed: Secret(copying: good)).publicKey == key.publicKey)
    }
    // One and the order less one are opposite: the same x, the other y.
    let one = try HPKEPrivateKey(kem: kem, serialized: Secret(copying: [1])).publicKey
    let last = try HPKEPrivateKey(kem: kem, serialized: Secret(copying: Self.moved(order, by: -1))).publicKey
    #expect(one[...kem.privateKeySize] == last[...kem.privateKeySize] && one != last)
  }

  /// Attack 37: a key that nothing can be sealed to is seen before anyone relies on it.
  @Test(arguments: nist)
  func publicKeysArePointsOfTheCurve(kem: KEM) throws {
    let key = HPKEPrivateKey.generate(kem)
    let hpke = HPKE(kem: kem, hash: .sha256, aead: .aes128GCM)
    let size = kem.privateKeySize
    let (x, y) = (Array(key.publicKey[1...size]), Array(key.publicKey[(size + 1)...]))
    #expect(kem.isValidPublicKey(key.publicKey))
    var offCurve = key.publicKey
    offCurve[offCurve.count - 1] ^= 1
    let zeros = [UInt8](repeating: 0, count: size)
    let parity = 2 + (y.last ?? 0) & 1
    let prime = [UInt8](repeating: 0xff, count: size)
    let bad: [[UInt8]] = [
      offCurve, [4] + y + x, [4] + zeros + zeros, [4] + prime + prime, [4] + x + prime,
      // Compressed, hybrid and infinite points are other encodings, which RFC 9180 section 7.1.1 does not have.
      [parity] + x, [6] + x + y, [7] + x + y, [0], [0] + x + y, [0] + zeros + zeros, [2] + x + y, [5] + x + y,
      [], [4], Array(key.publicKey.dropLast()), key.publicKey + [0],
    ]
    for point in bad {
      #expect(!kem.isValidPublicKey(point))
      let sealing = #expect(throws: CryptoError.self) { try hpke.seal(to: point, plaintext: [1] as [UInt8]) }
      let opening = #expect(throws: CryptoError.self) { try hpke.open(Random.bytes(20), kemOutput: point, with: key) }
      #expect(sealing?.code == .invalidPublicKey && opening?.code == .invalidPublicKey)
    }
    for scheme in Self.ecdsa where scheme.publicKeySize == kem.publicKeySize {
      let signature = try SigningKey(scheme: scheme, seed: key.secret).sign([1, 2, 3])
      #expect(scheme.verify(publicKey: key.publicKey, message: [1, 2, 3], signature: signature))
      for point in bad { #expect(!scheme.verify(publicKey: point, message: [1, 2, 3], signature: signature)) }
    }
  }

  /// Points of small order, in all encodings that are decoded: nothing can be sealed to them.
  @Test func montgomeryKeysAreOfLargeOrder() throws {
    // u = 0, 1, -1 modulo 2^448 - 2^224 - 1, and the first two with the prime added.
    let high = [UInt8](repeating: 0xff, count: 28)
    func ending(_ first: UInt8) -> [UInt8] { [first] + high.dropLast() + [0xfe] + high.dropLast() }
    let zeros = [UInt8](repeating: 0, count: 55)
    let bad448 = [[0] + zeros, [1] + zeros, ending(0xfe), ending(0xff), [UInt8](repeating: 0, count: 28) + high]
    let hpke = HPKE(kem: .dhkemX448, hash: .sha512, aead: .chacha20Poly1305)
    let key = HPKEPrivateKey.generate(.dhkemX448)
    for point in bad448 {
      #expect(point.count == 56 && !KEM.dhkemX448.isValidPublicKey(point))
      let sealing = #expect(throws: CryptoError.self) { try hpke.seal(to: point, plaintext: [1] as [UInt8]) }
      let opening = #expect(throws: CryptoError.self) { try hpke.open(Random.bytes(20), kemOutput: point, with: key) }
      #expect(sealing?.code == .invalidPublicKey && opening?.code == .invalidPublicKey)
    }
    for kem in [KEM.dhkemX25519, .dhkemX448] {
      let hpke = HPKE(kem: kem, hash: .sha512, aead: .chacha20Poly1305)
      for _ in 0..<20 {
        let key = HPKEPrivateKey.generate(kem)
        #expect(kem.isValidPublicKey(key.publicKey))
        #expect(!kem.isValidPublicKey(Array(key.publicKey.dropLast())) && !kem.isValidPublicKey(key.publicKey + [0]))
      }
      // Whatever `isValidPublicKey` accepts can be sealed to, and the other way round.
      for first in UInt8.min...UInt8.max {
        for rest in [UInt8(0), 0xff] {
          var point = [UInt8](repeating: rest, count: kem.publicKeySize)
          point[0] = first
          for top in [UInt8(0), 0x7f, 0x80, 0xff] {
            point[point.count - 1] = top
            let sealed = try? hpke.seal(to: point, plaintext: [1] as [UInt8])
            #expect((sealed != nil) == kem.isValidPublicKey(point))
          }
        }
      }
    }
  }

  /// Under a key of small order one signature would be valid for every message, or for one in four.
  @Test func ed448RefusesPublicKeysOfSmallOrder() {
    let zeros = [UInt8](repeating: 0, count: 56)
    let high = [UInt8](repeating: 0xff, count: 28)
    func ending(_ first: UInt8) -> [UInt8] { [first] + high.dropLast() + [0xfe] + high.dropLast() }
    let ys: [[UInt8]] = [
      [0] + zeros.dropLast(), [1] + zeros.dropLast(), ending(0xfe), ending(0xff),
      [UInt8](repeating: 0, count: 28) + high,
    ]
    let points: [[UInt8]] = ys.map { $0 + [0] } + ys.map { $0 + [0x80] }
    for key in points {
      for commitment in points {
        let forged = commitment + [UInt8](repeating: 0, count: 57)
        for number in UInt8(0)..<16 {
          #expect(!SignatureScheme.ed448.verify(publicKey: key, message: [number], signature: forged))
        }
      }
    }
  }

  /// RFC 8032 section 7.4: the blank message and one of a single byte.
  @Test func ed448GivesKnownAnswers() throws {
    let blank = try SigningKey(
      scheme: .ed448,
      seed: Secret(
        copying: hex(
          """
          6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3
          528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b
          """)))
    #expect(
      blank.publicKey
        == hex(
          """
          5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778
          edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180
          """))
    #expect(
      try blank.sign([])
        == hex(
          """
          533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f
          2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a
          9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db
          b61149f05a7363268c71d95808ff2e652600
          """))
  }

  @Test(arguments: SignatureScheme.allCases)
  func verifiesOnlyWhatItSigned(scheme: SignatureScheme) throws {
    let key = SigningKey.generate(scheme)
    #expect(key.publicKey.count == scheme.publicKeySize && key.seed.count == scheme.privateKeySize)
    #expect(try SigningKey(scheme: scheme, seed: key.seed) == key)
    #expect(SigningKey.generate(scheme) != key)
    let message = Random.bytes(100)
    let signature = try key.sign(message)
    #expect(signature.count <= scheme.maximumSignatureSize)
    #expect(key.verifyingKey.isValidSignature(signature, for: message))
    #expect(!SigningKey.generate(scheme).verifyingKey.isValidSignature(signature, for: message))
    #expect(!key.verifyingKey.isValidSignature(signature, for: message + [0]))
    for length in 0..<signature.count {
      #expect(!key.verifyingKey.isValidSignature(Array(signature[..<length]), for: message))
    }
    #expect(!key.verifyingKey.isValidSignature(signature + [0], for: message))
    for bit in stride(from: 0, to: signature.count * 8, by: 3) {
      var changed = signature
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!key.verifyingKey.isValidSignature(changed, for: message))
    }
    #expect(!key.verifyingKey.isValidSignature(Random.bytes(5000), for: message))
    for count in 0...140 where count != scheme.publicKeySize {
      let wrong = Array((key.publicKey + Random.bytes(140))[..<count])
      #expect(throws: CryptoError.self) { try VerifyingKey(scheme: scheme, bytes: wrong) }
      #expect(!scheme.verify(publicKey: wrong, message: message, signature: signature))
    }
    for other in SignatureScheme.allCases where other != scheme {
      #expect(!other.verify(publicKey: key.publicKey, message: message, signature: signature))
      #expect((try? SigningKey(scheme: other, seed: key.seed))?.publicKey != key.publicKey)
    }
  }

  /// The strict DER of a signature's two numbers.
  private static func der(_ r: [UInt8], _ s: [UInt8]) -> [UInt8] {
    func integer(_ number: [UInt8]) -> [UInt8] {
      var digits = Array(number.drop { $0 == 0 })
      if digits.first ?? 0x80 >= 0x80 { digits.insert(0, at: 0) }
      return [0x02, UInt8(digits.count)] + digits
    }
    return sequence(integer(r) + integer(s))
  }

  private static func sequence(_ body: [UInt8]) -> [UInt8] {
    [0x30] + (body.count < 0x80 ? [UInt8(body.count)] : [0x81, UInt8(body.count)]) + body
  }

  /// The two numbers, each with what its encoding has, a leading zero included.
  private static func numbers(_ signature: [UInt8]) -> (r: [UInt8], s: [UInt8]) {
    let start = signature[1] == 0x81 ? 3 : 2
    let rEnd = start + 2 + Int(signature[start + 1])
    return (Array(signature[(start + 2)..<rEnd]), Array(signature[(rEnd + 2)...]))
  }

  @Test(arguments: ecdsa)
  func ecdsaRefusesNumbersOutOfRangeAndOtherEncodings(scheme: SignatureScheme) throws {
    let key = SigningKey.generate(scheme)
    let message = Random.bytes(50)
    let order = Self.order(scheme.privateKeySize)
    func valid(_ signature: [UInt8]) -> Bool {
      scheme.verify(publicKey: key.publicKey, message: message, signature: signature)
    }
    for _ in 0..<20 {
      let signature = try key.sign(message)
      let (r, s) = Self.numbers(signature)
      // The helper writes what OpenSSL writes, so that what is refused below is refused for its one fault.
      #expect(Self.der(r, s) == signature && valid(signature))
      for (badR, badS) in [
        ([0], s), (r, [0]), ([0], [0]), (order, s), (r, order), (order, order), ([1], [1]), (s, r),
        (Self.moved(order, by: 1), s), (r, Self.moved(order, by: 1)), ([], []),
      ] as [([UInt8], [UInt8])] {
        #expect(!valid(Self.der(badR, badS)))
      }
      let integers = { (r: [UInt8], s: [UInt8]) in
        [0x02, UInt8(r.count)] + r + [0x02, UInt8(s.count)] + s
      }
      let body = integers(r, s)
      let malleated: [[UInt8]] = [
        Self.sequence(integers([0] + r, s)), Self.sequence(integers(r, [0] + s)), Self.sequence(body + [0x05, 0]),
        Self.sequence(body) + [0x05, 0], [0x31] + Self.sequence(body).dropFirst(),
        // Lengths in more bytes than needed, or left open.
        [0x30, 0x82, 0, UInt8(body.count)] + body, [0x30, 0x80] + body + [0, 0],
        Self.sequence([0x02, 0x81, UInt8(r.count)] + r + [0x02, UInt8(s.count)] + s),
        Self.sequence([0x0a] + body.dropFirst()), Self.sequence([0x02, UInt8(r.count)] + r), r + s,
      ]
      for changed in malleated { #expect(!valid(changed)) }
    }
  }

  @Test(arguments: KEM.allCases)
  func keysComeBackFromTheirSerialisation(kem: KEM) throws {
    let key = HPKEPrivateKey.generate(kem)
    #expect(key.secret.count == kem.privateKeySize && key.publicKey.count == kem.publicKeySize)
    let restored = try HPKEPrivateKey(kem: kem, serialized: key.secret)
    #expect(restored == key && restored.publicKey == key.publicKey && key != .generate(kem))
    let (secret, encapsulation) = try kem.encapsulate(to: key.publicKey)
    #expect(try kem.decapsulate(encapsulation, with: restored) == secret)
    let seed = Secret.random(count: 32)
    #expect(try HPKEPrivateKey.deriveKeyPair(kem, inputKey: seed) == .deriveKeyPair(kem, inputKey: seed))
  }
}
