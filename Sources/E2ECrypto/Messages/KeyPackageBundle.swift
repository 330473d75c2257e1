public import CryptoPrimitives
import WireCodec

/// A key package with its private keys. It is spent by joining: erase it then, unless it is a last resort.
public struct KeyPackageBundle: Sendable {
  public let keyPackage: KeyPackage
  let initKey: HPKEPrivateKey
  let leafKey: HPKEPrivateKey

  init(keyPackage: KeyPackage, initKey: HPKEPrivateKey, leafKey: HPKEPrivateKey) {
    self.keyPackage = keyPackage
    self.initKey = initKey
    self.leafKey = leafKey
  }

  /// Makes a key package (RFC 9420 section 10).
  ///
  /// `extensions` are the package's own; those of the leaf go into every group that the package is used for. Types that
  /// are not default must be listed in the capabilities, which is done here for those used here.
  /// - Throws: ``MLSError/Code/unsupportedSuite``; ``MLSError/Code/identityMismatch`` if the key is for another scheme.
  public static func generate(
    suite: CipherSuite, identity: ClientIdentity, capabilities: Capabilities = Capabilities(), lifetime: Lifetime,
    extensions: [Extension] = [], leafExtensions: [Extension] = [], lastResort: Bool = false
  ) throws(MLSError) -> KeyPackageBundle {
    let suite = try CipherSuite.algorithms(of: suite.rawValue)
    try identity.requireUsable()
    let initKey = HPKEPrivateKey.generate(suite.kem)
    let leafKey = HPKEPrivateKey.generate(suite.kem)
    let packageExtensions =
      lastResort ? try extensions.markedAsLastResort(capabilities) : extensions
    var capabilities = capabilities
    capabilities.list(packageExtensions + leafExtensions, suite: suite.number, credential: identity.credential.type)
    var leaf = LeafNode(
      encryptionKey: leafKey.publicKey, signatureKey: identity.signingKey.publicKey, credential: identity.credential,
      capabilities: capabilities, source: .keyPackage(lifetime), extensions: leafExtensions)
    try leaf.sign(suite, key: identity.signingKey, at: nil)
    let keyPackage = try KeyPackage(
      cipherSuite: suite.number, initKey: initKey.publicKey, leafNode: leaf, extensions: packageExtensions
    ).signed(suite, key: identity.signingKey)
    return KeyPackageBundle(keyPackage: keyPackage, initKey: initKey, leafKey: leafKey)
  }

  /// The package as an MLSMessage, as it is published.
  public var message: [UInt8] { MLSMessage.keyPackage(keyPackage).encoded }

  /// The private keys in the serialised form of the suite's KEM, for transcripts of tests between implementations.
  package var privateKeys: (initKey: Secret, leafKey: Secret) { (initKey.secret, leafKey.secret) }

  /// The bundle with its private keys, to be stored sealed.
  public func encodeState() -> Secret {
    var writer = SecretWriter()
    writer.write(StateFormat.current)
    writer.write(keyPackage)
    writer.write(initKey)
    writer.write(leafKey)
    return writer.finish()
  }

  /// Reads a stored bundle.
  /// - Throws: ``MLSError/Code/malformed`` or ``MLSError/Code/stateMismatch``: the stored bytes are damaged;
  ///   ``MLSError/Code/stateVersion`` if another version of this library wrote them.
  public init(restoring state: Secret) throws(MLSError) {
    try StateFormat.require(state)
    let parts = try state.decode { (reader) throws(WireError) in
      _ = try reader.readUInt16()
      let keyPackage = try KeyPackage(from: &reader)
      return (keyPackage, try reader.readSecret(max: Bounds.key), try reader.readSecret(max: Bounds.key))
    }
    try self.init(keyPackage: parts.0, initKey: parts.1, leafKey: parts.2)
  }

  /// Puts a bundle together from its parts.
  /// - Throws: ``MLSError/Code/stateMismatch`` if the private keys are not those of the package.
  public init(keyPackage: KeyPackage, initKey: Secret, leafKey: Secret) throws(MLSError) {
    let suite = try CipherSuite.algorithms(of: keyPackage.cipherSuite)
    self.keyPackage = keyPackage
    do {
      self.initKey = try HPKEPrivateKey(kem: suite.kem, serialized: initKey)
      self.leafKey = try HPKEPrivateKey(kem: suite.kem, serialized: leafKey)
    } catch { throw MLSError(.stateMismatch) }
    guard self.initKey.publicKey == keyPackage.initKey,
      self.leafKey.publicKey == keyPackage.leafNode.encryptionKey
    else { throw MLSError(.stateMismatch) }
  }
}

extension KeyPackage {
  /// Reads an MLSMessage that carries a key package. The package is not verified by that.
  /// - Throws: ``MLSError/Code/malformed``, or ``MLSError/Code/unsupported`` for a message of another kind.
  public init(message: [UInt8]) throws(MLSError) {
    guard case .keyPackage(let keyPackage) = try MLSMessage(strictly: message) else {
      throw MLSError(.unsupported)
    }
    self = keyPackage
  }

  /// The package as an MLSMessage, as it is published.
  public var message: [UInt8] { MLSMessage.keyPackage(self).encoded }
}

extension Capabilities {
  /// Enters what is in use, where it is not listed already.
  mutating func list(_ used: [Extension], suite: UInt16, credential: UInt16) {
    for type in used.map(\.type) where !supportsExtension(type) { extensions.append(type) }
    if !cipherSuites.contains(suite) { cipherSuites.append(suite) }
    if !credentials.contains(credential) { credentials.append(credential) }
  }
}
