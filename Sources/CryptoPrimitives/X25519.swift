import CSodium

/// Diffie-Hellman over Curve25519 (RFC 7748 section 5).
package enum X25519 {
  static let size = 32

  /// By way of Ed25519, whose multiplication of the base point is more than twice as fast as that for X25519 here: the same
  /// multiple of the same point, written in other coordinates.
  package static func publicKey(of secret: Secret) -> [UInt8] {
    Sodium.prepare()
    return [UInt8](unsafeUninitializedCapacity: size) { output, initialised in
      let output = UnsafeMutableRawBufferPointer(output)
      let status = secret.withBytes { crypto_scalarmult_ed25519_base(output.octets, $0.octets) }
      if status == 0 {
        Field25519.montgomery(fromEdwards: UnsafeRawBufferPointer(output), into: output)
      } else {
        // It refuses the secret of all zeros, which X25519 does not. Cannot fail: the base point is of large order.
        _ = secret.withBytes { crypto_scalarmult_curve25519_base(output.octets, $0.octets) }
      }
      initialised = size
    }
  }

  /// - Throws: `invalidPublicKey` if the length is wrong or the result is all zero, which a point of small order gives.
  package static func agree(_ secret: Secret, _ publicKey: [UInt8]) throws(CryptoError) -> Secret {
    guard secret.count == size else { throw CryptoError(.invalidPrivateKey) }
    guard publicKey.count == size else { throw CryptoError(.invalidPublicKey) }
    Sodium.prepare()
    return try Secret(count: size) { output throws(CryptoError) in
      let status = secret.withBytes { secret in
        crypto_scalarmult_curve25519(output.octets, secret.octets, publicKey)
      }
      guard status == 0 else { throw CryptoError(.invalidPublicKey) }
    }
  }

  /// Whether a public key is none of the points of small order, in any of their encodings (RFC 7748 section 6.1).
  static func hasLargeOrder(_ publicKey: [UInt8]) -> Bool {
    guard publicKey.count == size else { return false }
    // The top bit is ignored. Apart from two points, the rest of an encoding is 0, 1, or within one of the prime.
    let top = publicKey[31] & 0x7f
    let middle = publicKey[1..<31]
    if top == 0, middle.allSatisfy({ $0 == 0 }) { return publicKey[0] > 1 }
    if top == 0x7f, middle.allSatisfy({ $0 == 0xff }) { return !(0xec...0xee).contains(publicKey[0]) }
    return !pointsOfOrderEight.contains { $0.dropLast().elementsEqual(publicKey.dropLast()) && $0[31] == top }
  }

  private static let pointsOfOrderEight: [[UInt8]] = [
    [
      0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
      0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
      0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
      0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
  ]
}
