public import WireCodec

/// The place of a member among the leaves of the tree (RFC 9420 section 4).
public struct LeafIndex: Hashable, Comparable, Sendable, WireCodable, CustomStringConvertible {
  public let rawValue: UInt32

  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public init(from reader: inout Reader) throws(WireError) { rawValue = try reader.readUInt32() }
  public func encode(into writer: inout Writer) { writer.write(rawValue) }

  public static func < (left: LeafIndex, right: LeafIndex) -> Bool { left.rawValue < right.rawValue }
  public var description: String { "\(rawValue)" }

  /// The leaf's place in the arrays of leaves.
  var position: Int { Int(rawValue) }
}

/// The number of a state of the group; each commit adds one (RFC 9420 section 12).
public struct Epoch: Hashable, Comparable, Sendable, WireCodable, CustomStringConvertible {
  public let rawValue: UInt64

  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  public init(from reader: inout Reader) throws(WireError) { rawValue = try reader.readUInt64() }
  public func encode(into writer: inout Writer) { writer.write(rawValue) }

  public static func < (left: Epoch, right: Epoch) -> Bool { left.rawValue < right.rawValue }
  public var description: String { "\(rawValue)" }

  /// The epoch after this one, or none at the end of the numbers.
  var next: Epoch? {
    let (value, overflow) = rawValue.addingReportingOverflow(1)
    return overflow ? nil : Epoch(value)
  }
}

/// The name of a group, chosen by its creator and never changed (RFC 9420 section 11).
public struct GroupID: Hashable, Sendable, WireCodable {
  public let bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public init(from reader: inout Reader) throws(WireError) { bytes = try reader.readVector(max: Bounds.groupID) }
  public func encode(into writer: inout Writer) { writer.writeVector(bytes) }
}

/// A moment, in seconds since 1970. The caller brings the clock.
public struct Timestamp: Hashable, Comparable, Sendable, WireCodable {
  public let secondsSinceEpoch: UInt64

  public init(secondsSinceEpoch: UInt64) { self.secondsSinceEpoch = secondsSinceEpoch }

  public init(from reader: inout Reader) throws(WireError) { secondsSinceEpoch = try reader.readUInt64() }
  public func encode(into writer: inout Writer) { writer.write(secondsSinceEpoch) }

  public static func < (left: Timestamp, right: Timestamp) -> Bool {
    left.secondsSinceEpoch < right.secondsSinceEpoch
  }
}

/// How much of anything a peer may send, in bytes or entries. What is longer is refused before it is stored.
enum Bounds {
  static let groupID = 1 << 8
  /// Keys, tags, hashes, nonces and signatures of any suite, post-quantum ones included.
  static let key = 1 << 13
  static let hash = 1 << 7
  static let identity = 1 << 14
  /// A chain of certificates, or a credential of a type that we do not know.
  static let certificates = 1 << 16
  /// What a proposal of the application's own carries.
  static let customProposal = 1 << 16
  static let capabilities = 1 << 11
  static let extensions = 1 << 18
  static let authenticatedData = 1 << 16
  static let message = 1 << 26
  static let tree = 1 << 28
  /// A tree's own memory follows the number of its leaves, blank ones included.
  static let leaves = 1 << 16
}
