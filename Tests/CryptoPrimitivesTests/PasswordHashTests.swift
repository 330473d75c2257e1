import CryptoPrimitives
import Foundation
import Testing

@Suite struct PasswordHashTests {
  private let password = Array("correct horse battery staple".utf8)

  /// An answer that OpenSSL's Argon2id gave. Those of RFC 9106 have four lanes, and those of the reference
  /// implementation a salt of eight bytes, and libsodium has neither.
  @Test func agreesWithAnotherImplementation() throws {
    let string = "$argon2id$v=19$m=256,t=3,p=1$MDEyMzQ1Njc4OWFiY2RlZg$PVkT+RsEM8nNcOyCQwR/uzNjIHXOTcTgHLJomjf/wkw"
    #expect(PasswordHash.verify(password: Array("password".utf8), against: string))
    #expect(!PasswordHash.verify(password: Array("Password".utf8), against: string))
    let key = try PasswordHash.deriveKey(
      passphrase: Secret(copying: Array("password".utf8)), salt: Array("0123456789abcdef".utf8),
      .init(passes: 3, memoryKiB: 256))
    #expect(key == Secret(copying: hex("3d5913f91b0433c9cd70ec8243047fbb33632075ce4dc4e01cb2689a37ffc24c")))
  }

  @Test func verifiesOnlyTheRightPassword() throws {
    let string = try PasswordHash.hash(password: password, .minimal)
    #expect(string.hasPrefix("$argon2id$v=19$m=8,t=1,p=1$"))
    #expect(PasswordHash.verify(password: password, against: string))
    #expect(!PasswordHash.verify(password: Array(password.dropLast()), against: string))
    #expect(!PasswordHash.verify(password: password + [0], against: string))
    #expect(!PasswordHash.verify(password: [], against: string))
    // The salt is fresh each time.
    #expect(try PasswordHash.hash(password: password, .minimal) != string)
    let empty = try PasswordHash.hash(password: [], .minimal)
    #expect(PasswordHash.verify(password: [], against: empty))
  }

  @Test func knowsWhenToRehash() throws {
    let string = try PasswordHash.hash(password: password, .minimal)
    #expect(try !PasswordHash.needsRehash(string, .minimal))
    #expect(try PasswordHash.needsRehash(string, .interactive))
    #expect(try PasswordHash.needsRehash(string, .init(passes: 2, memoryKiB: 8)))
  }

  @Test(arguments: [
    "", "$", "$argon2id$", "password", "$argon2i$v=19$m=8,t=1,p=1$c29tc2FsdHNvbWVzYWx0MQ$AAAA",
    "$argon2id$v=16$m=256,t=2,p=1$c29tc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "$argon2id$v=19$m=4294967295,t=2,p=1$c29tc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "$argon2id$v=19$m=256,t=4294967295,p=1$c29tc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "$argon2id$v=19$m=99999999999999999999,t=2,p=1$c29tc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "$argon2id$v=19$m=256,t=2,p=1$c29tc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4\0",
    String(repeating: "$argon2id$v=19$m=8,t=1,p=1$", count: 10_000),
  ])
  func refusesWhatIsNoPHCString(string: String) {
    #expect(!PasswordHash.verify(password: Array("password".utf8), against: string))
    let error = #expect(throws: CryptoError.self) { try PasswordHash.needsRehash(string, .minimal) }
    #expect(error?.code == .invalidPasswordHash)
  }

  /// The key from a passphrase is the hash inside the PHC string for the same salt and cost.
  @Test func derivesTheSameBytesAsTheString() throws {
    let fields = try PasswordHash.hash(password: password, .minimal).split(separator: "$")
    func decoded(_ field: Substring) throws -> [UInt8] {
      let padded = field + String(repeating: "=", count: (4 - field.count % 4) % 4)
      return [UInt8](try #require(Data(base64Encoded: String(padded))))
    }
    let salt = try decoded(fields[3])
    let hash = try decoded(fields[4])
    let passphrase = Secret(copying: password)
    #expect(try PasswordHash.deriveKey(passphrase: passphrase, salt: salt, .minimal) == Secret(copying: hash))
    let other = try PasswordHash.deriveKey(passphrase: passphrase, salt: Random.bytes(16), .minimal)
    #expect(other != Secret(copying: hash))
    let costlier = try PasswordHash.deriveKey(
      passphrase: passphrase, salt: salt, .init(passes: 2, memoryKiB: 8))
    #expect(costlier != Secret(copying: hash))
  }

  @Test func refusesParametersOutOfBounds() {
    for count in [0, 8, 15, 17, 32] {
      #expect(throws: CryptoError.self) {
        try PasswordHash.deriveKey(passphrase: .empty, salt: Random.bytes(count), .minimal)
      }
    }
    for length in [-1, 0, 15, 1025] {
      #expect(throws: CryptoError.self) {
        try PasswordHash.deriveKey(passphrase: .empty, salt: Random.bytes(16), .minimal, length: length)
      }
    }
    for (passes, memory) in [(0, 8), (1, 7), (65, 8), (1, 1_048_577), (-1, 8), (.max, .max)] {
      #expect(throws: CryptoError.self) { try PasswordHash.Parameters(passes: passes, memoryKiB: memory) }
    }
  }
}
