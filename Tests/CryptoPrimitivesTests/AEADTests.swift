import CryptoPrimitives
import Testing

@Suite struct AEADTests {
  private static let sunscreen = Array(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
      .utf8)

  /// RFC 8439 section 2.8.2.
  @Test func chaCha20Poly1305GivesTheKnownAnswer() throws {
    let key = Secret(copying: Array(0x80...0x9f))
    let nonce = hex("070000004041424344454647")
    let associatedData = hex("50515253c0c1c2c3c4c5c6c7")
    let sealed = hex(
      """
      d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b
      1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
      3ff4def08e4b7a9de576d26586cec64b6116 1ae10b594f09e26a7e902ecbd0600691
      """)
    #expect(
      try AEADAlgorithm.chacha20Poly1305.seal(
        key: key, nonce: nonce, associatedData: associatedData, plaintext: Self.sunscreen) == sealed)
    #expect(
      try AEADAlgorithm.chacha20Poly1305.open(
        key: key, nonce: nonce, associatedData: associatedData, ciphertext: sealed) == Self.sunscreen)
  }

  /// Test cases 4 and 16 of the GCM specification (McGrew and Viega).
  @Test(arguments: [
    (
      AEADAlgorithm.aes128GCM, 1,
      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
      "5bc94fbc3221a5db94fae95ae7121a47"
    ),
    (
      .aes256GCM, 2,
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
      "76fc6ece0f4e1768cddf8853bb2d551b"
    ),
  ])
  func gcmGivesTheKnownAnswer(algorithm: AEADAlgorithm, repeats: Int, ciphertext: String, tag: String) throws {
    let half = hex("feffe9928665731c6d6a8f9467308308")
    let key = Secret(copying: repeats == 1 ? half : half + half)
    let plaintext = hex(
      """
      d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
      1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39
      """)
    let nonce = hex("cafebabefacedbaddecaf888")
    let associatedData = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    let sealed = hex("\(ciphertext)") + hex("\(tag)")
    #expect(
      try algorithm.seal(key: key, nonce: nonce, associatedData: associatedData, plaintext: plaintext) == sealed)
    #expect(
      try algorithm.open(key: key, nonce: nonce, associatedData: associatedData, ciphertext: sealed) == plaintext)
  }

  @Test(arguments: AEADAlgorithm.allCases)
  func refusesWhateverIsNotAsItWasSealed(algorithm: AEADAlgorithm) throws {
    let key = Secret.random(count: algorithm.keySize)
    let nonce = Random.bytes(12)
    let associatedData = Random.bytes(5)
    let sealed = try algorithm.seal(
      key: key, nonce: nonce, associatedData: associatedData, plaintext: Random.bytes(40))
    func refuses(
      _ ciphertext: [UInt8], key: Secret, nonce: [UInt8], associatedData: [UInt8]
    ) -> Bool {
      do throws(CryptoError) {
        _ = try algorithm.open(key: key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
        return false
      } catch {
        guard error.code == .authenticationFailed else { return false }
      }
      do throws(CryptoError) {
        _ = try algorithm.openSecret(key: key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
        return false
      } catch { return error.code == .authenticationFailed }
    }
    #expect(!refuses(sealed, key: key, nonce: nonce, associatedData: associatedData))
    for length in 0..<sealed.count {
      #expect(refuses(Array(sealed[..<length]), key: key, nonce: nonce, associatedData: associatedData))
    }
    #expect(refuses(sealed + [0], key: key, nonce: nonce, associatedData: associatedData))
    for bit in 0..<sealed.count * 8 {
      var changed = sealed
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(refuses(changed, key: key, nonce: nonce, associatedData: associatedData))
    }
    #expect(refuses(sealed, key: .random(count: algorithm.keySize), nonce: nonce, associatedData: associatedData))
    #expect(refuses(sealed, key: key, nonce: Random.bytes(12), associatedData: associatedData))
    #expect(refuses(sealed, key: key, nonce: nonce, associatedData: []))
    #expect(refuses(sealed, key: key, nonce: nonce, associatedData: associatedData + [0]))
  }

  @Test(arguments: AEADAlgorithm.allCases)
  func refusesKeysAndNoncesOfOtherLengths(algorithm: AEADAlgorithm) throws {
    let key = Secret.random(count: algorithm.keySize)
    for count in 0...40 where count != algorithm.keySize {
      let wrong = Secret.random(count: count)
      let sealing = #expect(throws: CryptoError.self) {
        try algorithm.seal(key: wrong, nonce: Random.bytes(12), plaintext: [1])
      }
      let opening = #expect(throws: CryptoError.self) {
        try algorithm.open(key: wrong, nonce: Random.bytes(12), ciphertext: Random.bytes(20))
      }
      #expect(sealing?.code == .invalidKeyLength && opening?.code == .invalidKeyLength)
    }
    for count in 0...40 where count != 12 {
      let sealing = #expect(throws: CryptoError.self) {
        try algorithm.seal(key: key, nonce: Random.bytes(count), plaintext: [1])
      }
      let opening = #expect(throws: CryptoError.self) {
        try algorithm.open(key: key, nonce: Random.bytes(count), ciphertext: Random.bytes(20))
      }
      #expect(sealing?.code == .invalidNonceLength && opening?.code == .invalidNonceLength)
    }
  }

  @Test(arguments: AEADAlgorithm.allCases, [0, 1, 15, 16, 17, 64, 1_048_577])
  func opensWhatItSealed(algorithm: AEADAlgorithm, size: Int) throws {
    let key = Secret.random(count: algorithm.keySize)
    let nonce = Random.bytes(12)
    let plaintext = Random.bytes(size)
    for associatedData in [[], Random.bytes(33)] {
      let sealed = try algorithm.seal(key: key, nonce: nonce, associatedData: associatedData, plaintext: plaintext)
      #expect(sealed.count == size + 16)
      let secretly = try algorithm.seal(
        key: key, nonce: nonce, associatedData: associatedData, plaintext: Secret(copying: plaintext))
      #expect(sealed == secretly)
      let opened = try algorithm.open(key: key, nonce: nonce, associatedData: associatedData, ciphertext: sealed)
      #expect(opened == plaintext)
      let secret = try algorithm.openSecret(
        key: key, nonce: nonce, associatedData: associatedData, ciphertext: sealed)
      #expect(secret == Secret(copying: plaintext))
    }
  }

  /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
  @Test func xChaChaOpensTheKnownAnswer() throws {
    let sealed =
      Array(0x40...0x57)
      + hex(
        """
        bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39
        ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9
        21f9664c97637da9768812f615c68b13b52e c0875924c1c7987947deafd8780acf49
        """)
    #expect(
      try XChaCha20Poly1305.open(
        key: Secret(copying: Array(0x80...0x9f)), associatedData: hex("50515253c0c1c2c3c4c5c6c7"), sealed: sealed)
        == Self.sunscreen)
  }

  @Test func xChaChaSealsForStores() throws {
    let key = Secret.random(count: 32)
    let plaintext = Random.bytes(50)
    let sealed = try XChaCha20Poly1305.seal(key: key, associatedData: [9], plaintext: plaintext)
    #expect(sealed.count == 24 + 50 + 16)
    #expect(try XChaCha20Poly1305.open(key: key, associatedData: [9], sealed: sealed) == plaintext)
    let secret = try XChaCha20Poly1305.openSecret(key: key, associatedData: [9], sealed: sealed)
    #expect(secret == Secret(copying: plaintext))
    // The nonce is fresh each time.
    let again = try XChaCha20Poly1305.seal(key: key, associatedData: [9], plaintext: secret)
    #expect(Array(again[..<24]) != Array(sealed[..<24]))
    #expect(try XChaCha20Poly1305.open(key: key, associatedData: [9], sealed: again) == plaintext)
    let empty = try XChaCha20Poly1305.seal(key: key, plaintext: Secret.empty)
    #expect(try XChaCha20Poly1305.openSecret(key: key, sealed: empty) == .empty)

    func code(_ sealed: [UInt8], _ key: Secret, _ associatedData: [UInt8]) -> CryptoError.Code? {
      do throws(CryptoError) {
        _ = try XChaCha20Poly1305.open(key: key, associatedData: associatedData, sealed: sealed)
        return nil
      } catch { return error.code }
    }
    for length in 0..<sealed.count { #expect(code(Array(sealed[..<length]), key, [9]) == .authenticationFailed) }
    for index in sealed.indices {
      var changed = sealed
      changed[index] ^= 0x80
      #expect(code(changed, key, [9]) == .authenticationFailed)
    }
    #expect(code(sealed, key, [8]) == .authenticationFailed)
    #expect(code(sealed, .random(count: 32), [9]) == .authenticationFailed)
    for count in [0, 16, 31, 33] {
      #expect(code(sealed, .random(count: count), [9]) == .invalidKeyLength)
      #expect(throws: CryptoError.self) {
        try XChaCha20Poly1305.seal(key: .random(count: count), plaintext: plaintext)
      }
    }
  }
}
