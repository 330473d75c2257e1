/// A key encapsulation mechanism, under its number in RFC 9180 section 7.1.
///
/// The seam for others: a new case, its sizes, and an arm in ``HPKEPrivateKey``.
public enum KEM: UInt16, Hashable, Sendable, CaseIterable {
  case dhkemP256 = 0x0010
  case dhkemP384 = 0x0011
  case dhkemP521 = 0x0012
  case dhkemX25519 = 0x0020
  case dhkemX448 = 0x0021

  /// The hash of the mechanism's own key derivation, which need not be that of the suite.
  var hash: HashAlgorithm {
    switch self {
    case .dhkemP256, .dhkemX25519: .sha256
    case .dhkemP384: .sha384
    case .dhkemP521, .dhkemX448: .sha512
    }
  }

  /// `Nsecret`: the length of the shared secret.
  var secretSize: Int { hash.size }
  /// `Nenc`: the length of an encapsulation, which is a public key.
  public var encapsulationSize: Int { publicKeySize }

  public var publicKeySize: Int {
    switch self {
    case .dhkemX25519: X25519.size
    case .dhkemX448: Curve448.x448.keySize
    case .dhkemP256, .dhkemP384, .dhkemP521: 1 + 2 * privateKeySize
    }
  }

  public var privateKeySize: Int {
    switch self {
    case .dhkemP256: NISTCurve.p256.scalarSize
    case .dhkemP384: NISTCurve.p384.scalarSize
    case .dhkemP521: NISTCurve.p521.scalarSize
    case .dhkemX25519: X25519.size
    case .dhkemX448: Curve448.x448.keySize
    }
  }

  /// The curve behind those mechanisms whose private keys are numbers in a range.
  var nistCurve: NISTCurve? {
    switch self {
    case .dhkemP256: .p256
    case .dhkemP384: .p384
    case .dhkemP521: .p521
    case .dhkemX25519, .dhkemX448: nil
    }
  }

  /// Whether something can be sealed to `publicKey`: it has the right length, and is a point of the curve, of large order.
  ///
  /// Whoever accepts a key for others to seal to asks this: one bad key would otherwise stop all who seal to the group.
  public func isValidPublicKey(_ publicKey: [UInt8]) -> Bool {
    guard publicKey.count == publicKeySize else { return false }
    switch self {
    case .dhkemX25519: return X25519.hasLargeOrder(publicKey)
    case .dhkemX448: return Curve448.givesSharedSecret(publicKey)
    case .dhkemP256: return NISTCurve.p256.isPoint(publicKey)
    case .dhkemP384: return NISTCurve.p384.isPoint(publicKey)
    case .dhkemP521: return NISTCurve.p521.isPoint(publicKey)
    }
  }

  private var labelled: LabelledKDF { LabelledKDF(hash: hash, suite: SuiteID(kem: rawValue)) }

  /// Makes a shared secret for the holder of `publicKey`, and the encapsulation from which they get it.
  ///
  /// - Throws: `invalidPublicKey` if `isValidPublicKey` is false: discard what carried it.
  public func encapsulate(to publicKey: [UInt8]) throws(CryptoError) -> (secret: Secret, encapsulation: [UInt8]) {
    try encapsulate(to: publicKey, from: nil, ephemeral: .generate(self))
  }

  /// Encap, or AuthEncap from a sender whom the secret is to authenticate (RFC 9180 section 4.1).
  ///
  /// The ephemeral key is chosen by the caller for known answers only: a repeated one breaks every secret made with it.
  package func encapsulate(
    to publicKey: [UInt8], from sender: HPKEPrivateKey?, ephemeral: HPKEPrivateKey
  ) throws(CryptoError) -> (secret: Secret, encapsulation: [UInt8]) {
    let shared = try ephemeral.agree(self, publicKey)
    let encapsulation = ephemeral.publicKey
    guard let sender else { return (try derive(shared, context: encapsulation + publicKey), encapsulation) }
    let both = Secret(concatenating: [shared, try sender.agree(self, publicKey)])
    return (try derive(both, context: encapsulation + publicKey + sender.publicKey), encapsulation)
  }

  /// The shared secret behind `encapsulation`.
  ///
  /// - Throws: `invalidPublicKey` if the encapsulation is malformed: discard it. `invalidPrivateKey` if the key is one of
  ///   another mechanism.
  public func decapsulate(_ encapsulation: [UInt8], with key: HPKEPrivateKey) throws(CryptoError) -> Secret {
    try decapsulate(encapsulation, with: key, from: nil)
  }

  /// Decap, or AuthDecap from the holder of `sender` (RFC 9180 section 4.1).
  package func decapsulate(
    _ encapsulation: [UInt8], with key: HPKEPrivateKey, from sender: [UInt8]?
  ) throws(CryptoError) -> Secret {
    let shared = try key.agree(self, encapsulation)
    guard let sender else { return try derive(shared, context: encapsulation + key.publicKey) }
    let both = Secret(concatenating: [shared, try key.agree(self, sender)])
    return try derive(both, context: encapsulation + key.publicKey + sender)
  }

  /// ExtractAndExpand of RFC 9180 section 4.1.
  private func derive(_ shared: Secret, context: [UInt8]) throws(CryptoError) -> Secret {
    let labelled = labelled
    let key = labelled.extract(salt: .empty, label: "eae_prk", inputKey: shared)
    return try labelled.expand(key, label: "shared_secret", info: context, length: secretSize)
  }

  /// DeriveKeyPair (RFC 9180 section 7.1.3).
  func deriveKeyPair(_ inputKey: Secret) throws(CryptoError) -> HPKEPrivateKey {
    let labelled = labelled
    let key = labelled.extract(salt: .empty, label: "dkp_prk", inputKey: inputKey)
    guard let curve = nistCurve else {
      let secret = try labelled.expand(key, label: "sk", info: [], length: privateKeySize)
      return try HPKEPrivateKey(kem: self, serialized: secret)
    }
    for counter in UInt8.min...UInt8.max {
      let candidate = try labelled.expand(key, label: "candidate", info: [counter], length: privateKeySize)
      let masked = Secret(count: candidate.count) { output in
        candidate.withBytes { output.copyMemory(from: $0) }
        output[0] &= curve.firstByteMask
      }
      do throws(CryptoError) {
        return try HPKEPrivateKey(kem: self, serialized: masked)
      } catch {
        guard error.code == .invalidPrivateKey else { throw error }
      }
    }
    // 256 candidates above the order: less likely than guessing the key.
    throw CryptoError(.backendFailure)
  }
}
