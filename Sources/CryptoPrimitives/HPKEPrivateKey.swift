/// A private key of a KEM together with its public half, so that opening costs one multiplication and not two.
///
/// Copies share the secret, which is wiped with the last of them.
public struct HPKEPrivateKey: Sendable, Equatable {
  public let kem: KEM
  /// The key as RFC 9180 section 7.1.2 serialises it: what a store seals.
  public let secret: Secret
  public let publicKey: [UInt8]
  private let prepared: Prepared

  /// The key as the library below wants it.
  private enum Prepared: Sendable {
    /// libsodium takes the bytes as they are.
    case sodium
    case nist(NISTPrivateKey)
    case x448(Curve448PrivateKey)
  }

  /// A new random key.
  ///
  /// Stops the program when OpenSSL can make no key at all (memory is exhausted): no input can cause it.
  public static func generate(_ kem: KEM = .dhkemX25519) -> HPKEPrivateKey {
    while true {
      let secret = kem.nistCurve.map(NISTPrivateKey.randomScalar) ?? .random(count: kem.privateKeySize)
      do throws(CryptoError) {
        return try HPKEPrivateKey(kem, padded: secret)
      } catch {
        // The number drawn is not below the curve's order: draw again, which happens once in 2^32 times.
        precondition(error.code == .invalidPrivateKey, "OpenSSL cannot make a key")
      }
    }
  }

  /// Restores a key from its serialisation.
  ///
  /// A number on a NIST curve may lack its leading zeros, as others write it.
  ///
  /// - Throws: `invalidPrivateKey` if the length is wrong, or if it is no number from 1 to the curve's order less one.
  public init(kem: KEM = .dhkemX25519, serialized: Secret) throws(CryptoError) {
    try self.init(kem, padded: kem.nistCurve == nil ? serialized : serialized.padded(to: kem.privateKeySize))
  }

  /// DeriveKeyPair (RFC 9180 section 7.1.3): the same `inputKey` always gives the same pair.
  ///
  /// - Throws: `backendFailure`, our fault.
  public static func deriveKeyPair(_ kem: KEM = .dhkemX25519, inputKey: Secret) throws(CryptoError) -> HPKEPrivateKey {
    try kem.deriveKeyPair(inputKey)
  }

  private init(_ kem: KEM, padded secret: Secret) throws(CryptoError) {
    guard secret.count == kem.privateKeySize else { throw CryptoError(.invalidPrivateKey) }
    Work.baseMultiplications.count()
    self.kem = kem
    self.secret = secret
    switch kem {
    case .dhkemX25519:
      prepared = .sodium
      publicKey = X25519.publicKey(of: secret)
    case .dhkemX448:
      let key = try Curve448PrivateKey(.x448, secret)
      prepared = .x448(key)
      publicKey = key.publicKey
    case .dhkemP256, .dhkemP384, .dhkemP521:
      guard let curve = kem.nistCurve else { throw CryptoError(.backendFailure) }
      let key = try NISTPrivateKey(curve, scalar: secret)
      prepared = .nist(key)
      publicKey = key.publicKey
    }
  }

  /// The Diffie-Hellman step of a DHKEM (RFC 9180 section 4.1).
  ///
  /// - Throws: `invalidPublicKey`, or `invalidPrivateKey` if this is a key of another mechanism.
  func agree(_ kem: KEM, _ publicKey: [UInt8]) throws(CryptoError) -> Secret {
    guard kem == self.kem else { throw CryptoError(.invalidPrivateKey) }
    Work.agreements.count()
    switch prepared {
    case .sodium: return try X25519.agree(secret, publicKey)
    case .nist(let key): return try key.agree(publicKey)
    case .x448(let key): return try key.agree(publicKey)
    }
  }

  public static func == (left: HPKEPrivateKey, right: HPKEPrivateKey) -> Bool {
    left.kem == right.kem && left.secret == right.secret
  }
}

extension Secret {
  /// The same big-endian number in `size` bytes; a longer one stays as it is.
  func padded(to size: Int) -> Secret {
    guard !isEmpty, count < size else { return self }
    return Secret(concatenating: [.zeros(count: size - count), self])
  }
}
