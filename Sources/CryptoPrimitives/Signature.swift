import CSodium

/// A signature scheme, under its number in the TLS registry, as RFC 9420 section 17.1 names them.
public enum SignatureScheme: UInt16, Hashable, Sendable, CaseIterable {
  case ed25519 = 0x0807

  public var publicKeySize: Int { Int(crypto_sign_ed25519_PUBLICKEYBYTES) }
  public var signatureSize: Int { Int(crypto_sign_ed25519_BYTES) }

  /// Whether `signature` is valid for `message` under `publicKey`.
  ///
  /// Anything malformed (lengths, a point of small order, a scalar that is not reduced) is simply not valid (RFC 8032
  /// section 5.1.7).
  public func verify(publicKey: [UInt8], message: [UInt8], signature: [UInt8]) -> Bool {
    guard publicKey.count == publicKeySize, signature.count == signatureSize else { return false }
    Sodium.prepare()
    return crypto_sign_ed25519_verify_detached(signature, message, UInt64(message.count), publicKey) == 0
  }
}

/// The public half of a signature key, of the length its scheme asks for.
public struct VerifyingKey: Hashable, Sendable {
  public let scheme: SignatureScheme
  public let bytes: [UInt8]

  /// - Throws: `invalidPublicKey` if the length is wrong: discard what carried it.
  public init(scheme: SignatureScheme, bytes: [UInt8]) throws(CryptoError) {
    guard bytes.count == scheme.publicKeySize else { throw CryptoError(.invalidPublicKey) }
    self.scheme = scheme
    self.bytes = bytes
  }

  public func isValidSignature(_ signature: [UInt8], for message: [UInt8]) -> Bool {
    scheme.verify(publicKey: bytes, message: message, signature: signature)
  }
}

/// A private signature key.
///
/// Copies share the secret, which is wiped with the last of them.
public struct SigningKey: Sendable, Equatable {
  public let scheme: SignatureScheme
  public let publicKey: [UInt8]
  /// Seed and public key together, the form in which libsodium signs.
  private let expanded: Secret

  public static func generate(_ scheme: SignatureScheme = .ed25519) -> SigningKey {
    SigningKey(scheme, checkedSeed: .random(count: Int(crypto_sign_ed25519_SEEDBYTES)))
  }

  /// Restores a key from its 32-byte seed, or from the 64-byte form in which the public key follows the seed.
  ///
  /// - Throws: `invalidPrivateKey` if the length is another, or if the public half does not belong to the seed:
  ///   signing with such a pair would give the seed away.
  public init(scheme: SignatureScheme = .ed25519, seed: Secret) throws(CryptoError) {
    let seedSize = Int(crypto_sign_ed25519_SEEDBYTES)
    switch seed.count {
    case seedSize:
      self.init(scheme, checkedSeed: seed)
    case Int(crypto_sign_ed25519_SECRETKEYBYTES):
      self.init(scheme, checkedSeed: seed.slice(0..<seedSize))
      guard expanded == seed else { throw CryptoError(.invalidPrivateKey) }
    default:
      throw CryptoError(.invalidPrivateKey)
    }
  }

  private init(_ scheme: SignatureScheme, checkedSeed seed: Secret) {
    Sodium.prepare()
    var publicKey = [UInt8](repeating: 0, count: scheme.publicKeySize)
    let expanded = Secret(count: Int(crypto_sign_ed25519_SECRETKEYBYTES)) { output in
      _ = seed.withBytes { seed in
        // Cannot fail: it always returns 0 for buffers of these sizes.
        crypto_sign_ed25519_seed_keypair(
          &publicKey, output.octets,
          seed.octets)
      }
    }
    self.scheme = scheme
    self.publicKey = publicKey
    self.expanded = expanded
  }

  /// The seed, from which `init(scheme:seed:)` makes the same key again: what a store seals.
  public var seed: Secret { expanded.slice(0..<Int(crypto_sign_ed25519_SEEDBYTES)) }

  public var verifyingKey: VerifyingKey { VerifyingKey(self) }

  /// Signs `message`; the same key and message always give the same signature.
  ///
  /// - Throws: `backendFailure`, our fault.
  public func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
    var signature = [UInt8](repeating: 0, count: scheme.signatureSize)
    let status = expanded.withBytes { key in
      crypto_sign_ed25519_detached(
        &signature, nil, message, UInt64(message.count), key.octets)
    }
    guard status == 0 else { throw CryptoError(.backendFailure) }
    return signature
  }

  public static func == (left: SigningKey, right: SigningKey) -> Bool {
    left.scheme == right.scheme && left.expanded == right.expanded
  }
}

extension VerifyingKey {
  fileprivate init(_ key: SigningKey) {
    scheme = key.scheme
    bytes = key.publicKey
  }
}
