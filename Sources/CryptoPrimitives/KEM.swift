import CSodium

/// A key encapsulation mechanism, under its number in RFC 9180 section 7.1.
///
/// The seam for others: a new case, its sizes, and an arm in each of the functions below.
public enum KEM: UInt16, Hashable, Sendable, CaseIterable {
  case dhkemX25519 = 0x0020

  /// The hash of the mechanism's own key derivation, which need not be that of the suite.
  var hash: HashAlgorithm { .sha256 }
  /// `Nsecret`: the length of the shared secret.
  var secretSize: Int { 32 }
  /// `Nenc`: the length of an encapsulation.
  public var encapsulationSize: Int { 32 }
  public var publicKeySize: Int { 32 }
  public var privateKeySize: Int { 32 }

  var suiteID: [UInt8] { Array("KEM".utf8) + rawValue.bigEndianBytes }

  /// Makes a shared secret for the holder of `publicKey`, and the encapsulation from which they get it.
  ///
  /// - Throws: `invalidPublicKey` if the length is wrong or the key leads to an all-zero result: discard what carried it.
  public func encapsulate(to publicKey: [UInt8]) throws(CryptoError) -> (secret: Secret, encapsulation: [UInt8]) {
    try encapsulate(to: publicKey, ephemeral: .generate(self))
  }

  /// With a chosen ephemeral key, for known answers only: a repeated one breaks every secret made with it.
  package func encapsulate(
    to publicKey: [UInt8], ephemeral: HPKEPrivateKey
  ) throws(CryptoError) -> (secret: Secret, encapsulation: [UInt8]) {
    let shared = try X25519.agree(ephemeral.secret, publicKey)
    let secret = try derive(shared, context: ephemeral.publicKey + publicKey)
    return (secret, ephemeral.publicKey)
  }

  /// The shared secret behind `encapsulation`.
  ///
  /// - Throws: `invalidPublicKey` if the encapsulation is malformed: discard it.
  public func decapsulate(_ encapsulation: [UInt8], with key: HPKEPrivateKey) throws(CryptoError) -> Secret {
    let shared = try X25519.agree(key.secret, encapsulation)
    return try derive(shared, context: encapsulation + key.publicKey)
  }

  /// ExtractAndExpand of RFC 9180 section 4.1.
  private func derive(_ shared: Secret, context: [UInt8]) throws(CryptoError) -> Secret {
    let labelled = LabelledKDF(hash: hash, suiteID: suiteID)
    let key = labelled.extract(salt: .empty, label: "eae_prk", inputKey: shared)
    return try labelled.expand(key, label: "shared_secret", info: context, length: secretSize)
  }
}

/// A private key of a KEM together with its public half, so that opening costs one multiplication and not two.
public struct HPKEPrivateKey: Sendable, Equatable {
  public let kem: KEM
  /// The key as RFC 9180 section 7.1.2 serialises it: what a store seals.
  public let secret: Secret
  public let publicKey: [UInt8]

  public static func generate(_ kem: KEM = .dhkemX25519) -> HPKEPrivateKey {
    HPKEPrivateKey(kem, checked: .random(count: kem.privateKeySize))
  }

  /// Restores a key from its serialisation.
  ///
  /// - Throws: `invalidPrivateKey` if the length is wrong.
  public init(kem: KEM = .dhkemX25519, serialized: Secret) throws(CryptoError) {
    guard serialized.count == kem.privateKeySize else { throw CryptoError(.invalidPrivateKey) }
    self.init(kem, checked: serialized)
  }

  /// DeriveKeyPair (RFC 9180 section 7.1.3): the same `inputKey` always gives the same pair.
  ///
  /// - Throws: `backendFailure`, our fault.
  public static func deriveKeyPair(_ kem: KEM = .dhkemX25519, inputKey: Secret) throws(CryptoError) -> HPKEPrivateKey {
    let labelled = LabelledKDF(hash: kem.hash, suiteID: kem.suiteID)
    let key = labelled.extract(salt: .empty, label: "dkp_prk", inputKey: inputKey)
    return HPKEPrivateKey(
      kem, checked: try labelled.expand(key, label: "sk", info: [], length: kem.privateKeySize))
  }

  private init(_ kem: KEM, checked secret: Secret) {
    self.kem = kem
    self.secret = secret
    publicKey = X25519.publicKey(of: secret)
  }

  public static func == (left: HPKEPrivateKey, right: HPKEPrivateKey) -> Bool {
    left.kem == right.kem && left.secret == right.secret
  }
}

/// Diffie-Hellman over Curve25519 (RFC 7748 section 5).
package enum X25519 {
  static let size = 32

  static func publicKey(of secret: Secret) -> [UInt8] {
    Sodium.prepare()
    var output = [UInt8](repeating: 0, count: size)
    // Cannot fail: the base point is of large order and the scalar is clamped.
    _ = secret.withBytes {
      crypto_scalarmult_curve25519_base(&output, $0.octets)
    }
    return output
  }

  /// - Throws: `invalidPublicKey` if the length is wrong or the result is all zero, which a point of small order gives.
  package static func agree(_ secret: Secret, _ publicKey: [UInt8]) throws(CryptoError) -> Secret {
    guard secret.count == size else { throw CryptoError(.invalidPrivateKey) }
    guard publicKey.count == size else { throw CryptoError(.invalidPublicKey) }
    Sodium.prepare()
    return try Secret(count: size) { output throws(CryptoError) in
      let status = secret.withBytes { secret in
        crypto_scalarmult_curve25519(
          output.octets,
          secret.octets, publicKey)
      }
      guard status == 0 else { throw CryptoError(.invalidPublicKey) }
    }
  }
}
