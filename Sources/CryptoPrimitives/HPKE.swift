/// Hybrid public key encryption in base mode (RFC 9180).
///
/// Both sides must agree on the mechanism, the hash, the cipher, `info` and the associated data.
public struct HPKE: Hashable, Sendable {
  public let kem: KEM
  /// The hash behind HKDF.
  public let hash: HashAlgorithm
  public let aead: AEADAlgorithm

  public init(kem: KEM = .dhkemX25519, hash: HashAlgorithm, aead: AEADAlgorithm) {
    self.kem = kem
    self.hash = hash
    self.aead = aead
  }

  /// Seals one message to the holder of `publicKey` (RFC 9180 section 6.1).
  ///
  /// - Throws: `invalidPublicKey` if the key is malformed or of small order: discard what carried it.
  public func seal(
    to publicKey: [UInt8], info: [UInt8] = [], associatedData: [UInt8] = [], plaintext: [UInt8]
  ) throws(CryptoError) -> (kemOutput: [UInt8], ciphertext: [UInt8]) {
    var sender = try setupBaseSender(to: publicKey, info: info)
    return (sender.kemOutput, try sender.seal(plaintext, associatedData: associatedData))
  }

  /// Seals a secret; otherwise as for public bytes.
  public func seal(
    to publicKey: [UInt8], info: [UInt8] = [], associatedData: [UInt8] = [], plaintext: Secret
  ) throws(CryptoError) -> (kemOutput: [UInt8], ciphertext: [UInt8]) {
    var sender = try setupBaseSender(to: publicKey, info: info)
    return (sender.kemOutput, try sender.seal(plaintext, associatedData: associatedData))
  }

  /// Hashes an `info` once for many receivers, for whom ``seal(to:info:plaintext:)`` then need not read it again.
  public func prepare(info: [UInt8]) -> HPKEInfo { HPKEInfo(self, info) }

  /// Seals a secret with an `info` prepared by this very suite; otherwise as for public bytes.
  ///
  /// - Throws: `invalidPublicKey` as for public bytes; `invalidLength` if another suite prepared the `info`.
  public func seal(
    to publicKey: [UInt8], info: HPKEInfo, plaintext: Secret
  ) throws(CryptoError) -> (kemOutput: [UInt8], ciphertext: [UInt8]) {
    guard info.suite == self else { throw CryptoError(.invalidLength) }
    let (secret, encapsulation) = try kem.encapsulate(to: publicKey)
    var sender = HPKESender(
      kemOutput: encapsulation, context: try HPKEContext(self, sharedSecret: secret, info: info))
    return (encapsulation, try sender.seal(plaintext))
  }

  /// Opens what `seal` made for `key`.
  ///
  /// - Throws: `invalidPublicKey` or `authenticationFailed`: discard the input.
  public func open(
    _ ciphertext: [UInt8], kemOutput: [UInt8], with key: HPKEPrivateKey, info: [UInt8] = [],
    associatedData: [UInt8] = []
  ) throws(CryptoError) -> [UInt8] {
    var receiver = try setupBaseReceiver(kemOutput: kemOutput, with: key, info: info)
    return try receiver.open(ciphertext, associatedData: associatedData)
  }

  /// Opens into a `Secret`; otherwise as `open`.
  public func openSecret(
    _ ciphertext: [UInt8], kemOutput: [UInt8], with key: HPKEPrivateKey, info: [UInt8] = [],
    associatedData: [UInt8] = []
  ) throws(CryptoError) -> Secret {
    var receiver = try setupBaseReceiver(kemOutput: kemOutput, with: key, info: info)
    return try receiver.openSecret(ciphertext, associatedData: associatedData)
  }

  /// SetupBaseS (RFC 9180 section 5.1.1): a context that seals in order, and exports.
  ///
  /// Its `kemOutput` goes to the receiver.
  ///
  /// - Throws: `invalidPublicKey`: discard what carried the key.
  public func setupBaseSender(to publicKey: [UInt8], info: [UInt8] = []) throws(CryptoError) -> HPKESender {
    try setupBaseSender(to: publicKey, info: info, ephemeral: .generate(kem))
  }

  /// With a chosen ephemeral key, for known answers only.
  package func setupBaseSender(
    to publicKey: [UInt8], info: [UInt8], ephemeral: HPKEPrivateKey
  ) throws(CryptoError) -> HPKESender {
    let (secret, encapsulation) = try kem.encapsulate(to: publicKey, ephemeral: ephemeral)
    return HPKESender(kemOutput: encapsulation, context: try HPKEContext(self, sharedSecret: secret, info: info))
  }

  /// SetupBaseR (RFC 9180 section 5.1.1): the receiver's side of `setupBaseSender`.
  ///
  /// - Throws: `invalidPublicKey` if `kemOutput` is malformed: discard it.
  public func setupBaseReceiver(
    kemOutput: [UInt8], with key: HPKEPrivateKey, info: [UInt8] = []
  ) throws(CryptoError) -> HPKEReceiver {
    let secret = try kem.decapsulate(kemOutput, with: key)
    return HPKEReceiver(context: try HPKEContext(self, sharedSecret: secret, info: info))
  }

  fileprivate var suiteID: [UInt8] {
    Array("HPKE".utf8) + kem.rawValue.bigEndianBytes + hash.hpkeIdentifier.bigEndianBytes + aead.rawValue.bigEndianBytes
  }
}

/// An `info` in the form that the key schedule takes it in (RFC 9180 section 5.1, `key_schedule_context`).
public struct HPKEInfo: Hashable, Sendable {
  fileprivate let suite: HPKE
  fileprivate let keyScheduleContext: [UInt8]

  fileprivate init(_ suite: HPKE, _ info: [UInt8]) {
    let labelled = LabelledKDF(hash: suite.hash, suiteID: suite.suiteID)
    let pskIDHash = labelled.extract(salt: .empty, label: "psk_id_hash", inputKey: .empty)
    let infoHash = labelled.extract(salt: .empty, label: "info_hash", inputKey: Secret(copying: info))
    self.suite = suite
    // 0 is base mode. Both hashes are of public values.
    keyScheduleContext = [0] + pskIDHash.withBytes { [UInt8]($0) } + infoHash.withBytes { [UInt8]($0) }
  }
}

/// The sending side of one encapsulation.
///
/// Not copyable: two copies would use the same nonces.
public struct HPKESender: ~Copyable, Sendable {
  /// What the receiver needs in order to set up its side.
  public let kemOutput: [UInt8]
  fileprivate var context: HPKEContext

  fileprivate init(kemOutput: [UInt8], context: consuming HPKEContext) {
    self.kemOutput = kemOutput
    self.context = context
  }

  /// Seals the next message.
  ///
  /// - Throws: `messageLimitReached`: set up a new context.
  public mutating func seal(_ plaintext: [UInt8], associatedData: [UInt8] = []) throws(CryptoError) -> [UInt8] {
    let nonce = try context.nextNonce()
    let sealed = try context.aead.seal(
      key: context.key, nonce: nonce, associatedData: associatedData, plaintext: plaintext)
    context.advance()
    return sealed
  }

  /// Seals a secret; otherwise as for public bytes.
  public mutating func seal(_ plaintext: Secret, associatedData: [UInt8] = []) throws(CryptoError) -> [UInt8] {
    let nonce = try context.nextNonce()
    let sealed = try context.aead.seal(
      key: context.key, nonce: nonce, associatedData: associatedData, plaintext: plaintext)
    context.advance()
    return sealed
  }

  /// A secret that only both sides of this encapsulation can derive (RFC 9180 section 5.3).
  ///
  /// - Throws: `invalidLength` if `length` is over 255 hashes.
  public borrowing func export(context exporterContext: [UInt8], length: Int) throws(CryptoError) -> Secret {
    try context.export(exporterContext, length: length)
  }
}

/// The receiving side of one encapsulation.
///
/// Opens in the order of sealing.
public struct HPKEReceiver: ~Copyable, Sendable {
  fileprivate var context: HPKEContext

  fileprivate init(context: consuming HPKEContext) { self.context = context }

  /// Opens the next message; a failure leaves the context where it was.
  ///
  /// - Throws: `authenticationFailed`: discard the input. `messageLimitReached`.
  public mutating func open(_ ciphertext: [UInt8], associatedData: [UInt8] = []) throws(CryptoError) -> [UInt8] {
    let nonce = try context.nextNonce()
    let opened = try context.aead.open(
      key: context.key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
    context.advance()
    return opened
  }

  /// Opens into a `Secret`; otherwise as `open`.
  public mutating func openSecret(_ ciphertext: [UInt8], associatedData: [UInt8] = []) throws(CryptoError) -> Secret {
    let nonce = try context.nextNonce()
    let opened = try context.aead.openSecret(
      key: context.key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
    context.advance()
    return opened
  }

  /// The same secret as the sender's export.
  ///
  /// - Throws: `invalidLength` if `length` is over 255 hashes.
  public borrowing func export(context exporterContext: [UInt8], length: Int) throws(CryptoError) -> Secret {
    try context.export(exporterContext, length: length)
  }
}

/// The outcome of the key schedule (RFC 9180 section 5.1), common to both sides.
private struct HPKEContext: ~Copyable, Sendable {
  let key: Secret
  let aead: AEADAlgorithm
  private let baseNonce: Secret
  private let exporterSecret: Secret
  private let labelled: LabelledKDF
  private var sequence: UInt64 = 0

  init(_ suite: HPKE, sharedSecret: Secret, info: [UInt8]) throws(CryptoError) {
    try self.init(suite, sharedSecret: sharedSecret, info: suite.prepare(info: info))
  }

  init(_ suite: HPKE, sharedSecret: Secret, info: HPKEInfo) throws(CryptoError) {
    let labelled = LabelledKDF(hash: suite.hash, suiteID: suite.suiteID)
    let context = info.keyScheduleContext
    let secret = labelled.extract(salt: sharedSecret, label: "secret", inputKey: .empty)
    // All that may throw comes first: a value that cannot be copied must not be left half made.
    let key = try labelled.expand(secret, label: "key", info: context, length: suite.aead.keySize)
    let baseNonce = try labelled.expand(secret, label: "base_nonce", info: context, length: suite.aead.nonceSize)
    let exporterSecret = try labelled.expand(secret, label: "exp", info: context, length: suite.hash.size)
    self.key = key
    self.baseNonce = baseNonce
    self.exporterSecret = exporterSecret
    aead = suite.aead
    self.labelled = labelled
  }

  /// ComputeNonce of RFC 9180 section 5.2.
  ///
  /// The limit here is 2^64 - 1 messages, below the RFC's.
  borrowing func nextNonce() throws(CryptoError) -> [UInt8] {
    guard sequence < .max else { throw CryptoError(.messageLimitReached) }
    var nonce = baseNonce.withBytes { [UInt8]($0) }
    for index in 0..<8 { nonce[nonce.count - 1 - index] ^= UInt8(truncatingIfNeeded: sequence >> (8 * UInt64(index))) }
    return nonce
  }

  mutating func advance() { sequence += 1 }

  borrowing func export(_ context: [UInt8], length: Int) throws(CryptoError) -> Secret {
    try labelled.expand(exporterSecret, label: "sec", info: context, length: length)
  }
}

extension HashAlgorithm {
  /// The number of HKDF over this hash in RFC 9180 section 7.2.
  package var hpkeIdentifier: UInt16 {
    switch self {
    case .sha256: 0x0001
    case .sha384: 0x0002
    case .sha512: 0x0003
    }
  }
}
