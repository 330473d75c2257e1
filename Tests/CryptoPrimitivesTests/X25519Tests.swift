import CSodium
import CryptoPrimitives
import Testing

/// Public keys are made by way of the Edwards form of the curve; libsodium's own X25519 must agree.
@Suite("X25519")
struct X25519Tests {
  @Test("public keys are those of libsodium's ladder, whatever the secret")
  func publicKeys() {
    var secrets = [[UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xff, count: 32)]
    for place in 0..<32 {
      for bit in 0..<8 {
        var secret = [UInt8](repeating: 0, count: 32)
        secret[place] = 1 << bit
        secrets.append(secret)
        secrets.append(secret.map { ~$0 })
      }
    }
    for _ in 0..<1_000 { secrets.append(Random.bytes(32)) }
    for secret in secrets {
      var expected = [UInt8](repeating: 0, count: 32)
      #expect(crypto_scalarmult_curve25519_base(&expected, secret) == 0)
      #expect(X25519.publicKey(of: Secret(copying: secret)) == expected, "secret \(secret)")
    }
  }
}
