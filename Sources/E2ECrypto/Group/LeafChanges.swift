import CryptoPrimitives
import WireCodec

/// What a member changes of its own leaf, besides its encryption key.
struct LeafChanges: Sendable {
  var identity: ClientIdentity?
  var capabilities: Capabilities?
  var extensions: [Extension]?

  var isEmpty: Bool { identity == nil && capabilities == nil && extensions == nil }

  /// The leaf as it will be, unsigned. What it uses itself is among its capabilities.
  func applied(to old: LeafNode, suite: Suite) throws(MLSError) -> LeafNode {
    var leaf = old
    if let capabilities { leaf.capabilities = capabilities }
    if let extensions { leaf.extensions = extensions }
    if let identity {
      try identity.requireUsable()
      leaf.credential = identity.credential
      leaf.signatureKey = identity.signingKey.publicKey
    }
    leaf.capabilities.list(leaf.extensions, suite: suite.number, credential: leaf.credential.type)
    return leaf
  }
}

extension CommitOptions {
  var leafChanges: LeafChanges {
    LeafChanges(identity: identity, capabilities: capabilities, extensions: leafExtensions)
  }
}

extension ClientIdentity {
  init(from reader: inout Reader) throws(WireError) {
    let credential = try Credential(from: &reader)
    guard let scheme = SignatureScheme(rawValue: try reader.readUInt16()) else { throw WireError(.invalidValue) }
    let seed = try reader.readSecret(max: Bounds.key)
    do {
      self.init(credential: credential, signingKey: try SigningKey(scheme: scheme, seed: seed))
    } catch { throw WireError(.invalidValue) }
  }

  func encode(into writer: inout SecretWriter) {
    writer.write(credential)
    writer.write(signingKey.scheme.rawValue)
    writer.write(signingKey.seed)
  }
}

extension SecretWriter {
  /// Appends an identity that may be there or not.
  mutating func write(_ identity: ClientIdentity?) {
    write(identity != nil)
    identity?.encode(into: &self)
  }
}

extension Reader {
  mutating func readIdentity() throws(WireError) -> ClientIdentity? {
    try readBool() ? try ClientIdentity(from: &self) : nil
  }
}
