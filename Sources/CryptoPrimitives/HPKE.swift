/// Hybrid public key encryption in all four modes (RFC 9180).
///
/// Both sides must agree on the mechanism, the hash, the cipher, the mode, `info` and the associated data.
public struct HPKE: Hashable, Sendable {
  public let kem: KEM
  /// The hash behind HKDF.
  public let hash: HashAlgorithm
  /// The cipher; nil for a suite that only exports secrets.
  public let aead: AEADAlgorithm?

  public init(kem: KEM = .dhkemX25519, hash: HashAlgorithm, aead: AEADAlgorithm?) {
    self.kem = kem
    self.hash = hash
    self.aead = aead
  }

  /// Seals one message to the holder of `publicKey` (RFC 9180 section 6.1).
  ///
  /// - Throws: `invalidPublicKey` if the key is malformed or of small order: discard what carried it. `exportOnly`.
  public func seal(
    to publicKey: [UInt8], mode: HPKESenderMode = .base, info: [UInt8] = [], associatedData: [UInt8] = [],
    plaintext: [UInt8]
  ) throws(CryptoError) -> (kemOutput: [UInt8], ciphertext: [UInt8]) {
    try withBytes(of: plaintext) { plaintext throws(CryptoError) in
      try seal(
        to: publicKey, mode: mode, info: info, associatedData: associatedData, plaintext: plaintext)
    }
  }

  /// Seals a secret; otherwise as for public bytes.
  public func seal(
    to publicKey: [UInt8], mode: HPKESenderMode = .base, info: [UInt8] = [], associatedData: [UInt8] = [],
    plaintext: Secret
  ) throws(CryptoError) -> (kemOutput: [UInt8], ciphertext: [UInt8]) {
    try plaintext.withBytes { plaintext throws(CryptoError) in
      try seal(
        to: publicKey, mode: mode, info: info, associatedData: associatedData, plaintext: plaintext)
    }
  }

  private func seal(
    to publicKey: [UInt8], mode: HPKESenderMode, info: [UInt8], associatedData: [UInt8],
    plaintext: UnsafeRawBufferPointer
  ) throws(CryptoError) -> (kemOutput: [UInt8], ciphertext: [UInt8]) {
    let aead = try cipher()
    let (secret, encapsulation) = try kem.encapsulate(to: publicKey, from: mode.sender, ephemeral: .generate(kem))
    let (key, nonce) = keySchedule(secret, mode, info).firstKey(of: aead)
    let sealed = try aead.seal(key: key, nonce: nonce, associatedData: associatedData, plaintext: plaintext)
    return (encapsulation, sealed)
  }

  /// Hashes an `info` once for many receivers, for whom ``seal(to:info:plaintext:)`` then need not read it again.
  public func prepare(info: [UInt8]) -> HPKEInfo { HPKEInfo(self, info) }

  /// Seals a secret in base mode with an `info` prepared by this very suite; otherwise as for public bytes.
  ///
  /// - Throws: `invalidPublicKey` as for public bytes; `invalidLength` if another suite prepared the `info`. `exportOnly`.
  public func seal(
    to publicKey: [UInt8], info: HPKEInfo, plaintext: Secret
  ) throws(CryptoError) -> (kemOutput: [UInt8], ciphertext: [UInt8]) {
    guard info.suite == self else { throw CryptoError(.invalidLength) }
    let aead = try cipher()
    let (secret, encapsulation) = try kem.encapsulate(to: publicKey)
    let (key, nonce) = HPKEKeySchedule(self, sharedSecret: secret, info: info).firstKey(of: aead)
    return (encapsulation, try aead.seal(key: key, nonce: nonce, plaintext: plaintext))
  }

  /// Opens what `seal` made for `key`.
  ///
  /// - Throws: `invalidPublicKey` or `authenticationFailed`: discard the input. `exportOnly`.
  public func open(
    _ ciphertext: [UInt8], kemOutput: [UInt8], with key: HPKEPrivateKey, mode: HPKEReceiverMode = .base,
    info: [UInt8] = [], associatedData: [UInt8] = []
  ) throws(CryptoError) -> [UInt8] {
    let aead = try cipher()
    let (key, nonce) = try firstKey(of: aead, kemOutput, key, mode, info)
    return try aead.open(key: key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
  }

  /// Opens into a `Secret`; otherwise as `open`.
  public func openSecret(
    _ ciphertext: [UInt8], kemOutput: [UInt8], with key: HPKEPrivateKey, mode: HPKEReceiverMode = .base,
    info: [UInt8] = [], associatedData: [UInt8] = []
  ) throws(CryptoError) -> Secret {
    let aead = try cipher()
    let (key, nonce) = try firstKey(of: aead, kemOutput, key, mode, info)
    return try aead.openSecret(key: key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
  }

  private func firstKey(
    of aead: AEADAlgorithm, _ kemOutput: [UInt8], _ key: HPKEPrivateKey, _ mode: HPKEReceiverMode, _ info: [UInt8]
  ) throws(CryptoError) -> (key: Secret, nonce: [UInt8]) {
    let secret = try kem.decapsulate(kemOutput, with: key, from: mode.sender)
    return keySchedule(secret, mode, info).firstKey(of: aead)
  }

  /// SetupS (RFC 9180 section 5.1): a context that seals in order, and exports.
  ///
  /// Its `kemOutput` goes to the receiver.
  ///
  /// - Throws: `invalidPublicKey`: discard what carried the key.
  public func setupSender(
    to publicKey: [UInt8], mode: HPKESenderMode = .base, info: [UInt8] = []
  ) throws(CryptoError) -> HPKESender {
    try setupSender(to: publicKey, mode: mode, info: info, ephemeral: .generate(kem))
  }

  /// With a chosen ephemeral key, for known answers only.
  package func setupSender(
    to publicKey: [UInt8], mode: HPKESenderMode, info: [UInt8], ephemeral: HPKEPrivateKey
  ) throws(CryptoError) -> HPKESender {
    let (secret, encapsulation) = try kem.encapsulate(to: publicKey, from: mode.sender, ephemeral: ephemeral)
    return HPKESender(kemOutput: encapsulation, context: HPKEContext(keySchedule(secret, mode, info)))
  }

  /// SetupR (RFC 9180 section 5.1): the receiver's side of `setupSender`.
  ///
  /// - Throws: `invalidPublicKey` if `kemOutput`, or the sender's key, is malformed: discard it.
  public func setupReceiver(
    kemOutput: [UInt8], with key: HPKEPrivateKey, mode: HPKEReceiverMode = .base, info: [UInt8] = []
  ) throws(CryptoError) -> HPKEReceiver {
    let secret = try kem.decapsulate(kemOutput, with: key, from: mode.sender)
    return HPKEReceiver(context: HPKEContext(keySchedule(secret, mode, info)))
  }

  private func cipher() throws(CryptoError) -> AEADAlgorithm {
    guard let aead else { throw CryptoError(.exportOnly) }
    return aead
  }

  private func keySchedule(
    _ sharedSecret: Secret, _ mode: HPKEMode<some Sendable>, _ info: [UInt8]
  ) -> HPKEKeySchedule {
    HPKEKeySchedule(
      self, sharedSecret: sharedSecret, info: HPKEInfo(self, info, mode: mode.number, psk: mode.psk), psk: mode.psk)
  }

  /// HPKE's own HKDF (RFC 9180 section 5.1).
  var labelled: LabelledKDF {
    LabelledKDF(
      hash: hash,
      suite: SuiteID(kem: kem.rawValue, kdf: hash.hpkeIdentifier, aead: aead?.rawValue ?? Self.exportOnlyIdentifier))
  }

  private static let exportOnlyIdentifier: UInt16 = 0xffff
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
