public import WireCodec

/// Who a member says it is (RFC 9420 section 5.3). Whether that is so is for the application to decide, by its
/// ``CredentialValidator`` or on the effects of a commit or welcome.
public enum Credential: Hashable, Sendable, WireCodable {
  case basic(identity: [UInt8])
  /// A chain of DER certificates, the member's own first. Nothing in it is looked at here: that its key is the leaf's
  /// signature key and that somebody trusted has signed it is for the validator to check.
  case x509([[UInt8]])
  /// A credential of any other type, as bytes.
  ///
  /// RFC 9420 gives each type its own form and no length, so one cannot step over an unknown one. Those there are, and
  /// those that other implementations let applications define, are one vector: that form is read and written here.
  case custom(type: UInt16, data: [UInt8])

  /// The number of the credential's type in the IANA registry.
  public var type: UInt16 {
    switch self {
    case .basic: 1
    case .x509: 2
    case .custom(let type, _): type
    }
  }

  /// The identity of a basic credential.
  public var identity: [UInt8]? {
    if case .basic(let identity) = self { identity } else { nil }
  }

  public init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt16() {
    case 1: self = .basic(identity: try reader.readVector(max: Bounds.identity))
    case 2:
      self = .x509(
        try reader.readNested(max: Bounds.certificates) { (body) throws(WireError) in
          var chain: [[UInt8]] = []
          while !body.isAtEnd { chain.append(try body.readVector()) }
          return chain
        })
    case let type: self = .custom(type: type, data: try reader.readUnknownBody(max: Bounds.certificates))
    }
  }

  public func encode(into writer: inout Writer) {
    writer.write(type)
    switch self {
    case .basic(let identity): writer.writeVector(identity)
    case .x509(let chain):
      writer.writeNested { writer in
        for certificate in chain { writer.writeVector(certificate) }
      }
    case .custom(_, let data): writer.writeVector(data)
    }
  }

  /// Whether others can read the value as what it is here.
  var isWellFormed: Bool {
    switch self {
    case .basic(let identity): identity.count <= Bounds.identity
    case .x509(let chain): !chain.isEmpty && chain.reduce(0) { $0 + $1.count + 4 } <= Bounds.certificates
    case .custom(let type, let data): type > 2 && data.count <= Bounds.certificates
    }
  }
}

extension Reader {
  /// Reads what follows the number of an unknown type, taking it for a vector.
  mutating func readUnknownBody(max: Int) throws(WireError) -> [UInt8] {
    do { return try readVector(max: max) } catch { throw WireError(.unknownType) }
  }
}
