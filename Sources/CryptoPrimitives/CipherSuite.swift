/// An MLS cipher suite, under its number in RFC 9420 section 17.1.
///
/// Any number can be named; those of ``supported`` can be used.
public struct CipherSuite: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, which every implementation has.
  public static let x25519AES128GCM = CipherSuite(rawValue: 0x0001)
  /// MLS_128_DHKEMP256_AES128GCM_SHA256_P256.
  public static let p256AES128GCM = CipherSuite(rawValue: 0x0002)
  /// MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519, the default of Kin.
  public static let x25519ChaCha20Poly1305 = CipherSuite(rawValue: 0x0003)
  /// MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448.
  public static let x448AES256GCM = CipherSuite(rawValue: 0x0004)
  /// MLS_256_DHKEMP521_AES256GCM_SHA512_P521.
  public static let p521AES256GCM = CipherSuite(rawValue: 0x0005)
  /// MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448.
  public static let x448ChaCha20Poly1305 = CipherSuite(rawValue: 0x0006)
  /// MLS_256_DHKEMP384_AES256GCM_SHA384_P384.
  public static let p384AES256GCM = CipherSuite(rawValue: 0x0007)

  /// What is supported, the preferred first: one line adds a suite.
  private static let table: [Algorithms] = [
    Algorithms(.x25519ChaCha20Poly1305, .dhkemX25519, .sha256, .chacha20Poly1305, .ed25519),
    Algorithms(.x25519AES128GCM, .dhkemX25519, .sha256, .aes128GCM, .ed25519),
    Algorithms(.p256AES128GCM, .dhkemP256, .sha256, .aes128GCM, .ecdsaSecp256r1SHA256),
    Algorithms(.p384AES256GCM, .dhkemP384, .sha384, .aes256GCM, .ecdsaSecp384r1SHA384),
    Algorithms(.p521AES256GCM, .dhkemP521, .sha512, .aes256GCM, .ecdsaSecp521r1SHA512),
    Algorithms(.x448ChaCha20Poly1305, .dhkemX448, .sha512, .chacha20Poly1305, .ed448),
    Algorithms(.x448AES256GCM, .dhkemX448, .sha512, .aes256GCM, .ed448),
  ]

  /// All supported suites, the preferred first.
  public static let supported: [CipherSuite] = table.map(\.suite)

  public var isSupported: Bool { Self.table.contains { $0.suite == self } }

  /// What the suite is made of.
  ///
  /// - Throws: `unsupportedCipherSuite`: refuse what names it.
  public func algorithms() throws(CryptoError) -> Algorithms {
    guard let found = Self.table.first(where: { $0.suite == self }) else { throw CryptoError(.unsupportedCipherSuite) }
    return found
  }
}

extension CipherSuite {
  /// What a supported suite is made of.
  ///
  /// Having one proves that the suite is supported.
  public struct Algorithms: Hashable, Sendable {
    public let suite: CipherSuite
    public let kem: KEM
    /// The hash, and the hash behind HKDF and HMAC.
    public let hash: HashAlgorithm
    public let aead: AEADAlgorithm
    public let signature: SignatureScheme

    fileprivate init(
      _ suite: CipherSuite, _ kem: KEM, _ hash: HashAlgorithm, _ aead: AEADAlgorithm, _ signature: SignatureScheme
    ) {
      self.suite = suite
      self.kem = kem
      self.hash = hash
      self.aead = aead
      self.signature = signature
    }

    public var hpke: HPKE { HPKE(kem: kem, hash: hash, aead: aead) }
    /// `KDF.Nh`.
    public var hashSize: Int { hash.size }
    /// `AEAD.Nk`.
    public var keySize: Int { aead.keySize }
    /// `AEAD.Nn`.
    public var nonceSize: Int { aead.nonceSize }
  }
}
