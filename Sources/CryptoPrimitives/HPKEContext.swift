/// The sending side of one encapsulation.
///
/// Not copyable: two copies would use the same nonces.
public struct HPKESender: ~Copyable, Sendable {
  /// What the receiver needs in order to set up its side.
  public let kemOutput: [UInt8]
  private var context: HPKEContext

  init(kemOutput: [UInt8], context: consuming HPKEContext) {
    self.kemOutput = kemOutput
    self.context = context
  }

  /// Seals the next message.
  ///
  /// - Throws: `messageLimitReached`: set up a new context. `exportOnly`.
  public mutating func seal(_ plaintext: [UInt8], associatedData: [UInt8] = []) throws(CryptoError) -> [UInt8] {
    let (aead, key, nonce) = try context.next()
    let sealed = try aead.seal(key: key, nonce: nonce, associatedData: associatedData, plaintext: plaintext)
    context.advance()
    return sealed
  }

  /// Seals a secret; otherwise as for public bytes.
  public mutating func seal(_ plaintext: Secret, associatedData: [UInt8] = []) throws(CryptoError) -> [UInt8] {
    let (aead, key, nonce) = try context.next()
    let sealed = try aead.seal(key: key, nonce: nonce, associatedData: associatedData, plaintext: plaintext)
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
  private var context: HPKEContext

  init(context: consuming HPKEContext) { self.context = context }

  /// Opens the next message; a failure leaves the context where it was.
  ///
  /// - Throws: `authenticationFailed`: discard the input. `messageLimitReached`, `exportOnly`.
  public mutating func open(_ ciphertext: [UInt8], associatedData: [UInt8] = []) throws(CryptoError) -> [UInt8] {
    let (aead, key, nonce) = try context.next()
    let opened = try aead.open(key: key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
    context.advance()
    return opened
  }

  /// Opens into a `Secret`; otherwise as `open`.
  public mutating func openSecret(_ ciphertext: [UInt8], associatedData: [UInt8] = []) throws(CryptoError) -> Secret {
    let (aead, key, nonce) = try context.next()
    let opened = try aead.openSecret(key: key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
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

/// The outcome of the key schedule (RFC 9180 section 5.2), common to both sides.
struct HPKEContext: ~Copyable, Sendable {
  private let suite: HPKE
  private let cipher: (key: Secret, baseNonce: Secret)?
  private let exporterSecret: Secret
  private var sequence: UInt64 = 0

  init(_ schedule: HPKEKeySchedule) {
    suite = schedule.suite
    (cipher, exporterSecret) = schedule.all()
  }

  /// What the next message is sealed with; ComputeNonce of RFC 9180 section 5.2.
  ///
  /// The limit here is 2^64 - 1 messages, below the RFC's.
  ///
  /// - Throws: `messageLimitReached`, `exportOnly`.
  borrowing func next() throws(CryptoError) -> (aead: AEADAlgorithm, key: Secret, nonce: [UInt8]) {
    guard let aead = suite.aead, let cipher else { throw CryptoError(.exportOnly) }
    guard sequence < .max else { throw CryptoError(.messageLimitReached) }
    var nonce = cipher.baseNonce.withBytes { [UInt8]($0) }
    for index in 0..<8 { nonce[nonce.count - 1 - index] ^= UInt8(truncatingIfNeeded: sequence >> (8 * UInt64(index))) }
    return (aead, cipher.key, nonce)
  }

  mutating func advance() { sequence += 1 }

  borrowing func export(_ context: [UInt8], length: Int) throws(CryptoError) -> Secret {
    try suite.labelled.expand(exporterSecret, label: "sec", info: context, length: length)
  }
}
