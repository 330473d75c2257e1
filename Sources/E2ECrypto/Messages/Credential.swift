public import WireCodec

/// Who a member says it is (RFC 9420 section 5.3). Whether that is so is for the application to decide.
public enum Credential: Hashable, Sendable, WireCodable {
  case basic(identity: [UInt8])
  case x509([[UInt8]])

  /// The number of the credential's type in the IANA registry.
  public var type: UInt16 {
    switch self {
    case .basic: 1
    case .x509: 2
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
        try reader.readNested(max: Bounds.identity) { (body) throws(WireError) in
          var chain: [[UInt8]] = []
          while !body.isAtEnd { chain.append(try body.readVector()) }
          return chain
        })
    default: throw WireError(.invalidValue)
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
    }
  }
}
