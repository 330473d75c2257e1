import CryptoPrimitives
public import WireCodec

/// What a client publishes so that others can add it to groups (RFC 9420 section 10).
///
/// A decoded key package is not verified. A group verifies it when it is committed or received; a service that hands
/// out key packages can call ``validate(now:maxLifetime:)``.
public struct KeyPackage: Hashable, Sendable, WireCodable {
  public let version: UInt16
  /// The number of the cipher suite, which may be one that this build does not know.
  public let cipherSuite: UInt16
  public let initKey: [UInt8]
  public let leafNode: LeafNode
  public let extensions: [Extension]
  let signature: [UInt8]

  init(
    cipherSuite: UInt16, initKey: [UInt8], leafNode: LeafNode, extensions: [Extension], signature: [UInt8] = []
  ) {
    version = ProtocolVersion.mls10
    self.cipherSuite = cipherSuite
    self.initKey = initKey
    self.leafNode = leafNode
    self.extensions = extensions
    self.signature = signature
  }

  public init(from reader: inout Reader) throws(WireError) {
    version = try reader.readUInt16()
    cipherSuite = try reader.readUInt16()
    initKey = try reader.readVector(max: Bounds.key)
    leafNode = try LeafNode(from: &reader)
    extensions = try reader.readList(max: Bounds.extensions)
    signature = try reader.readVector(max: Bounds.key)
  }

  public func encode(into writer: inout Writer) {
    encodeSigned(into: &writer)
    writer.writeVector(signature)
  }

  /// What the signature covers: KeyPackageTBS.
  func encodeSigned(into writer: inout Writer) {
    writer.write(version)
    writer.write(cipherSuite)
    writer.writeVector(initKey)
    writer.write(leafNode)
    writer.writeList(extensions)
  }

  /// Whether the package may be used for more than one group.
  ///
  /// Marked by the extension of that name or, as later versions of draft-ietf-mls-extensions have it, by the component.
  public var isLastResort: Bool {
    extensions[type: Extension.lastResortType] != nil || (try? extensions.appData())?[.lastResortKeyPackage] != nil
  }

  public var lifetime: Lifetime? {
    if case .keyPackage(let lifetime) = leafNode.source { lifetime } else { nil }
  }

  /// The hash by which a welcome names the package (RFC 9420 section 5.2).
  /// - Throws: ``MLSError/Code/unsupportedSuite`` if the package is for a suite that this build does not know.
  public func reference() throws(MLSError) -> [UInt8] {
    try CipherSuite.algorithms(of: cipherSuite).keyPackageRef(self)
  }
}
