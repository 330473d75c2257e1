public import WireCodec

/// The hash by which a commit names a proposal that was sent before (RFC 9420 section 5.2).
public struct ProposalRef: Hashable, Sendable, WireCodable {
  let bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  public init(from reader: inout Reader) throws(WireError) { bytes = try reader.readVector(max: Bounds.hash) }
  public func encode(into writer: inout Writer) { writer.writeVector(bytes) }
}
