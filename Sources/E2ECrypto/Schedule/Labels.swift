import CryptoPrimitives
import WireCodec

/// The algorithms of a supported cipher suite. Whoever has one need not ask again whether the suite is supported.
typealias Suite = CipherSuite.Algorithms

extension CipherSuite {
  /// The algorithms of a suite by its number on the wire.
  static func algorithms(of number: UInt16) throws(MLSError) -> Suite {
    do { return try CipherSuite(rawValue: number).algorithms() } catch { throw MLSError(.unsupportedSuite) }
  }
}

/// The primitives as MLS uses them: bound to the protocol and to a purpose by a label (RFC 9420 sections 5.1, 5.2 and 8).
extension CipherSuite.Algorithms {
  var number: UInt16 { suite.rawValue }

  func hash(_ bytes: [UInt8]) -> [UInt8] { Digest.hash(hash, bytes) }

  /// RefHash: the name of a value.
  func refHash(_ label: String, _ value: [UInt8]) -> [UInt8] {
    var writer = Writer(reserving: value.count + 64)
    writer.writeVector(label.utf8)
    writer.writeVector(value)
    return hash(writer.bytes)
  }

  func keyPackageRef(_ keyPackage: KeyPackage) -> [UInt8] {
    refHash("MLS 1.0 KeyPackage Reference", keyPackage.encoded)
  }

  func proposalRef(_ content: AuthenticatedContent) -> ProposalRef {
    ProposalRef(bytes: refHash("MLS 1.0 Proposal Reference", content.encoded))
  }

  // MARK: Derivation

  func extract(salt: Secret, _ key: Secret) -> Secret { KDF.extract(hash, salt: salt, inputKey: key) }

  /// Takes a secret in, from which several others are to follow.
  func expander(_ secret: Secret) -> LabelledExpander {
    LabelledExpander(expander: KDF.Expander(hash, key: secret), hashSize: hashSize)
  }

  func expandWithLabel(
    _ secret: Secret, _ label: StaticString, context: [UInt8] = [], length: Int
  ) throws(MLSError) -> Secret {
    try expander(secret).expand(label, context: context, length: length)
  }

  func deriveSecret(_ secret: Secret, _ label: StaticString) throws(MLSError) -> Secret {
    try expander(secret).derive(label)
  }

  var zeroSecret: Secret { .zeros(count: hashSize) }

  // MARK: Tags and signatures

  func mac(_ key: Secret, _ message: [UInt8]) -> [UInt8] { HMAC.code(hash, key: key, message: message) }

  func isValid(mac: [UInt8], key: Secret, message: [UInt8]) -> Bool {
    HMAC.verify(mac, hash, key: key, message: message)
  }

  /// SignWithLabel (RFC 9420 section 5.1.2) of what `write` writes.
  ///
  /// `expected` is about how many bytes that will be.
  func sign(
    _ key: SigningKey, _ label: StaticString, expecting expected: Int = 448, _ write: (inout Writer) -> Void
  ) throws(MLSError) -> [UInt8] {
    guard key.scheme == signature else { throw MLSError(.identityMismatch) }
    do { return try key.sign(labelled(label, expecting: expected, write)) } catch { throw MLSError(.fault) }
  }

  /// VerifyWithLabel (RFC 9420 section 5.1.2) of what `write` writes.
  func isValid(
    signature bytes: [UInt8], key: [UInt8], _ label: StaticString, expecting expected: Int = 448,
    _ write: (inout Writer) -> Void
  ) -> Bool {
    signature.verify(publicKey: key, message: labelled(label, expecting: expected, write), signature: bytes)
  }

  /// SignContent and EncryptContext: a label, then the content, each with its length.
  private func labelled(
    _ label: StaticString, expecting expected: Int, _ write: (inout Writer) -> Void
  ) -> [UInt8] {
    var writer = Writer(reserving: expected + 64)
    writer.writeLabel(label)
    writer.writeNested(expecting: expected, write)
    return writer.bytes
  }

  // MARK: Public-key encryption

  private func encryptContext(_ label: StaticString, _ context: [UInt8]) -> [UInt8] {
    labelled(label, expecting: context.count) { $0.writeBytes(context) }
  }

  /// What seals secrets to many keys under one context, however long, that is hashed but once.
  func sealer(_ label: StaticString, context: [UInt8]) -> LabelledSealer {
    LabelledSealer(hpke: hpke, info: hpke.prepare(info: encryptContext(label, context)))
  }

  func seal(
    _ plaintext: Secret, to key: [UInt8], _ label: StaticString, context: [UInt8]
  ) throws(MLSError) -> HPKECiphertext {
    try sealer(label, context: context).seal(plaintext, to: key)
  }

  func open(
    _ sealed: HPKECiphertext, with key: HPKEPrivateKey, _ label: StaticString, context: [UInt8]
  ) throws(MLSError) -> Secret {
    do {
      return try hpke.openSecret(
        sealed.ciphertext, kemOutput: sealed.kemOutput, with: key, info: encryptContext(label, context))
    } catch { throw MLSError(.decryptionFailed) }
  }

  func deriveKeyPair(_ secret: Secret) throws(MLSError) -> HPKEPrivateKey {
    do { return try HPKEPrivateKey.deriveKeyPair(kem, inputKey: secret) } catch { throw MLSError(.fault) }
  }
}

/// ExpandWithLabel and what rests on it, from one secret (RFC 9420 section 8).
struct LabelledExpander: Sendable {
  fileprivate let expander: KDF.Expander
  fileprivate let hashSize: Int

  /// ExpandWithLabel.
  func expand(
    _ label: StaticString, context: some Collection<UInt8> = [], length: Int
  ) throws(MLSError) -> Secret {
    try label.withUTF8Buffer { label in
      Result { () throws(MLSError) in try expand(label: label, context: context, length: length) }
    }.get()
  }

  /// As above, with a label that the application chose.
  func expand(
    label: some Collection<UInt8>, context: some Collection<UInt8>, length: Int
  ) throws(MLSError) -> Secret {
    guard let short = UInt16(exactly: length) else { throw MLSError(.outOfBounds) }
    var info = Writer(reserving: label.count + context.count + 24)
    info.write(short)
    info.writeLabel(label)
    info.writeVector(context)
    do { return try expander.expand(info: info.bytes, length: length) } catch { throw MLSError(.outOfBounds) }
  }

  /// DeriveSecret.
  func derive(_ label: StaticString) throws(MLSError) -> Secret { try expand(label, length: hashSize) }

  /// DeriveTreeSecret (RFC 9420 section 9).
  func derive(_ label: StaticString, generation: UInt32, length: Int) throws(MLSError) -> Secret {
    try expand(label, context: generation.encoded, length: length)
  }
}

/// EncryptWithLabel with a fixed label and context (RFC 9420 section 5.1.3).
struct LabelledSealer {
  fileprivate let hpke: HPKE
  fileprivate let info: HPKEInfo

  func seal(_ plaintext: Secret, to key: [UInt8]) throws(MLSError) -> HPKECiphertext {
    do {
      let sealed = try hpke.seal(to: key, info: info, plaintext: plaintext)
      return HPKECiphertext(kemOutput: sealed.kemOutput, ciphertext: sealed.ciphertext)
    } catch { throw MLSError.rejected(.leafKeysWellFormed) }
  }
}

extension Writer {
  /// Appends a label as every use of a key bears it: bound to the protocol.
  mutating func writeLabel(_ label: some Collection<UInt8>) {
    writeLength(8 + label.count)
    writeBytes("MLS 1.0 ".utf8)
    writeBytes(label)
  }

  fileprivate mutating func writeLabel(_ label: StaticString) {
    label.withUTF8Buffer { writeLabel($0) }
  }
}

extension StaticString {
  var bytes: [UInt8] { withUTF8Buffer { Array($0) } }
}
