import CryptoPrimitives
import Testing

@Suite struct HashTests {
  /// FIPS 180-4's examples, and the hash of a million times the letter a.
  @Test(arguments: [
    (
      HashAlgorithm.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    ),
    (
      .sha384,
      "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
      "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8985"
    ),
    (
      .sha512,
      "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"
    ),
  ])
  func givesKnownAnswers(algorithm: HashAlgorithm, empty: String, short: String, long: String) {
    #expect(Digest.hash(algorithm, [] as [UInt8]) == hex("\(empty)"))
    #expect(Digest.hash(algorithm, Array("abc".utf8)) == hex("\(short)"))
    #expect(Digest.hash(algorithm, [UInt8](repeating: 0x61, count: 1_000_000)) == hex("\(long)"))
  }

  @Test(arguments: HashAlgorithm.allCases)
  func isTheSameHoweverTheInputIsCut(algorithm: HashAlgorithm) {
    let message = Random.bytes(300)
    let whole = Digest.hash(algorithm, message)
    #expect(whole.count == algorithm.size)
    for cut in 0...message.count {
      var context = DigestContext(algorithm)
      context.update(Array(message[..<cut]))
      var branch = context
      context.update(Secret(copying: Array(message[cut...])))
      #expect(context.finish() == whole)
      // A copy is independent, and a finished context starts over.
      #expect(branch.finish() == Digest.hash(algorithm, Array(message[..<cut])))
      #expect(context.finish() == Digest.hash(algorithm, [] as [UInt8]))
    }
  }

  /// RFC 4231, test cases 2 (short key) and 6 (key longer than a block).
  @Test(arguments: [
    (
      HashAlgorithm.sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ),
    (
      .sha384,
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
      "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952"
    ),
    (
      .sha512,
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
      "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"
    ),
  ])
  func authenticatesAsRFC4231(algorithm: HashAlgorithm, short: String, long: String) {
    let question = Array("what do ya want for nothing?".utf8)
    let jefe = Secret(copying: Array("Jefe".utf8))
    #expect(HMAC.code(algorithm, key: jefe, message: question) == hex("\(short)"))
    let longKey = Secret(copying: [UInt8](repeating: 0xaa, count: 131))
    let message = Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
    #expect(HMAC.code(algorithm, key: longKey, message: message) == hex("\(long)"))
  }

  @Test func refusesWrongAndShortenedCodes() {
    let key = Secret.random(count: 32)
    let code = HMAC.code(.sha256, key: key, message: [1, 2, 3])
    #expect(HMAC.verify(code, .sha256, key: key, message: [1, 2, 3]))
    #expect(!HMAC.verify(code, .sha256, key: key, message: [1, 2, 4]))
    #expect(!HMAC.verify(code, .sha256, key: .random(count: 32), message: [1, 2, 3]))
    for length in 0..<code.count {
      #expect(!HMAC.verify(Array(code[..<length]), .sha256, key: key, message: [1, 2, 3]))
    }
    #expect(!HMAC.verify(code + [0], .sha256, key: key, message: [1, 2, 3]))
  }

  /// RFC 5869, appendices A.1 and A.3 (no salt, no info).
  @Test func derivesAsRFC5869() throws {
    let inputKey = Secret(copying: [UInt8](repeating: 0x0b, count: 22))
    let key = KDF.extract(.sha256, salt: hex("000102030405060708090a0b0c"), inputKey: inputKey)
    #expect(
      key == Secret(copying: hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")))
    let output = try KDF.expand(.sha256, key: key, info: hex("f0f1f2f3f4f5f6f7f8f9"), length: 42)
    #expect(
      output
        == Secret(
          copying: hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")))

    let unsalted = KDF.extract(.sha256, salt: .empty, inputKey: inputKey)
    #expect(
      unsalted == Secret(copying: hex("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04")))
    #expect(
      try KDF.expand(.sha256, key: unsalted, info: [], length: 42)
        == Secret(
          copying: hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")))
  }

  @Test(arguments: HashAlgorithm.allCases)
  func expandsToAnyAllowedLength(algorithm: HashAlgorithm) throws {
    let key = Secret.random(count: algorithm.size)
    let limit = 255 * algorithm.size
    let longest = try KDF.expand(algorithm, key: key, info: [7], length: limit)
    for length in [0, 1, algorithm.size - 1, algorithm.size, algorithm.size + 1, 200, limit - 1] {
      #expect(try KDF.expand(algorithm, key: key, info: [7], length: length) == longest.slice(0..<length))
    }
    for length in [-1, limit + 1, .max, .min] {
      let error = #expect(throws: CryptoError.self) {
        try KDF.expand(algorithm, key: key, info: [7], length: length)
      }
      #expect(error?.code == .invalidLength)
    }
  }

  @Test(arguments: HashAlgorithm.allCases)
  func derivesTheSameFromAKeyTakenInOnce(algorithm: HashAlgorithm) throws {
    for keySize in [0, 1, algorithm.size, 64, 65, 128, 129, 500] {
      let key = Secret.random(count: keySize)
      let expander = KDF.Expander(algorithm, key: key)
      for length in [0, 1, 12, algorithm.size, algorithm.size + 1, 3 * algorithm.size, 255 * algorithm.size] {
        for info in [[], [1], Random.bytes(200)] {
          let expected = try KDF.expand(algorithm, key: key, info: info, length: length)
          #expect(try expander.expand(info: info, length: length) == expected)
        }
      }
      for length in [-1, 255 * algorithm.size + 1] {
        let error = #expect(throws: CryptoError.self) { try expander.expand(info: [], length: length) }
        #expect(error?.code == .invalidLength)
      }
    }
  }
}
