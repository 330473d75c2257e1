import CSodium

/// A private signature key.
///
/// Copies share the secret, which is wiped with the last of them.
public struct SigningKey: Sendable, Equatable {
  public let scheme: SignatureScheme
  public let publicKey: [UInt8]
  private let prepared: Prepared

  /// The key as the library below wants it.
  private enum Prepared: Sendable {
    /// Seed and public key together, the form in which libsodium signs.
    case ed25519(Secret)
    case ed448(Curve448PrivateKey, seed: Secret)
    case ecdsa(NISTPrivateKey, HashAlgorithm, scalar: Secret)
  }

  /// A new random key.
  ///
  /// Stops the program when OpenSSL can make no key at all (memory is exhausted): no input can cause it.
  public static func generate(_ scheme: SignatureScheme = .ed25519) -> SigningKey {
    while true {
      let secret = scheme.ecdsa.map { NISTPrivateKey.randomScalar($0.curve) } ?? .random(count: scheme.privateKeySize)
      do throws(CryptoError) {
        return try SigningKey(scheme: scheme, seed: secret)
      } catch {
        // The number drawn is not below the curve's order: draw again, which happens once in 2^32 times.
        precondition(error.code == .invalidPrivateKey, "OpenSSL cannot make a key")
      }
    }
  }

  /// Restores a key from its seed, or for ECDSA from its number, big-endian, which may lack its leading zeros.
  ///
  /// That of Ed25519 may also come in the 64-byte form in which the public key follows the seed.
  ///
  /// - Throws: `invalidPrivateKey` if the length is another, if a number is not from 1 to the curve's order less one, or if
  ///   the public half does not belong to the seed: signing with such a pair would give the seed away.
  public init(scheme: SignatureScheme = .ed25519, seed: Secret) throws(CryptoError) {
    if let (curve, hash) = scheme.ecdsa {
      let scalar = seed.padded(to: curve.scalarSize)
      let key = try NISTPrivateKey(curve, scalar: scalar)
      self.init(scheme, publicKey: key.publicKey, .ecdsa(key, hash, scalar: scalar))
    } else if scheme == .ed448 {
      let key = try Curve448PrivateKey(.ed448, seed)
      self.init(scheme, publicKey: key.publicKey, .ed448(key, seed: seed))
    } else {
      let (publicKey, expanded) = try Self.expand(ed25519: seed)
      self.init(scheme, publicKey: publicKey, .ed25519(expanded))
    }
  }

  private init(_ scheme: SignatureScheme, publicKey: [UInt8], _ prepared: Prepared) {
    self.scheme = scheme
    self.publicKey = publicKey
    self.prepared = prepared
  }

  private static func expand(ed25519 seed: Secret) throws(CryptoError) -> (publicKey: [UInt8], expanded: Secret) {
    let (seedSize, pairSize) = (Int(crypto_sign_ed25519_SEEDBYTES), Int(crypto_sign_ed25519_SECRETKEYBYTES))
    guard seed.count == seedSize || seed.count == pairSize else { throw CryptoError(.invalidPrivateKey) }
    Sodium.prepare()
    var publicKey = [UInt8](repeating: 0, count: Int(crypto_sign_ed25519_PUBLICKEYBYTES))
    let expanded = Secret(count: pairSize) { output in
      // Cannot fail: it always returns 0 for buffers of these sizes.
      _ = seed.withBytes { crypto_sign_ed25519_seed_keypair(&publicKey, output.octets, $0.octets) }
    }
    guard seed.count == seedSize || expanded == seed else { throw CryptoError(.invalidPrivateKey) }
    return (publicKey, expanded)
  }

  /// The seed or number, from which `init(scheme:seed:)` makes the same key again: what a store seals.
  public var seed: Secret {
    switch prepared {
    case .ed25519(let expanded): expanded.slice(0..<Int(crypto_sign_ed25519_SEEDBYTES))
    case .ed448(_, let seed): seed
    case .ecdsa(_, _, let scalar): scalar
    }
  }

  /// Signs `message`.
  ///
  /// The Edwards curves always give the same signature for one key and message; ECDSA gives a new one each time.
  ///
  /// - Throws: `backendFailure`, our fault.
  public func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
    Work.signatures.count()
    switch prepared {
    case .ecdsa(let key, let hash, _): return try key.sign(digest: Digest.hash(hash, message))
    case .ed448(let key, _): return try key.sign(message)
    case .ed25519(let expanded):
      var signature = [UInt8](repeating: 0, count: Int(crypto_sign_ed25519_BYTES))
      let status = expanded.withBytes { key in
        crypto_sign_ed25519_detached(&signature, nil, message, UInt64(message.count), key.octets)
      }
      guard status == 0 else { throw CryptoError(.backendFailure) }
      return signature
    }
  }

  public static func == (left: SigningKey, right: SigningKey) -> Bool {
    left.scheme == right.scheme && left.seed == right.seed
  }
}
