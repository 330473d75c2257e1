/// A 16-byte identifier, written as text in lower-case hexadecimal groups (RFC 9562 layout for people and devices).
///
/// The bytes are kept inline, so that identifiers are cheap to hash and compare on the relay's hot path.
public protocol Identifier: Hashable, Sendable, Codable, CustomStringConvertible, LosslessStringConvertible {
  var high: UInt64 { get }
  var low: UInt64 { get }
  init(high: UInt64, low: UInt64)
}

extension Identifier {
  /// The number of bytes of every identifier.
  public static var byteCount: Int { 16 }

  /// Reads an identifier from exactly 16 bytes, or returns `nil` for any other count.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    var high: UInt64 = 0
    var low: UInt64 = 0
    for (index, byte) in bytes.enumerated() {
      if index < 8 { high = high << 8 | UInt64(byte) } else { low = low << 8 | UInt64(byte) }
    }
    self.init(high: high, low: low)
  }

  /// The 16 bytes, most significant first.
  public var bytes: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(16)
    for word in [high, low] {
      for shift in stride(from: 56, through: 0, by: -8) { result.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    return result
  }

  /// Reads the text form; hyphens must stand where ``description`` puts them, or nowhere.
  public init?(_ description: String) {
    var digits: [UInt8] = []
    for (offset, character) in description.utf8.enumerated() {
      if character == UInt8(ascii: "-") {
        guard description.utf8.count == 36, [8, 13, 18, 23].contains(offset) else { return nil }
        continue
      }
      guard let digit = Hex.value(of: character) else { return nil }
      digits.append(digit)
      guard digits.count <= 32 else { return nil }
    }
    guard digits.count == 32 else { return nil }
    self.init(bytes: (0..<16).map { digits[$0 * 2] << 4 | digits[$0 * 2 + 1] })
  }

  public var description: String {
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text += Hex.text(of: byte)
    }
    return text
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let value = Self(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an identifier")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// An account, for life: names may change, this does not.
public struct UserID: Identifier {
  public let high: UInt64
  public let low: UInt64
  public init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// One device of an account: one MLS leaf in each of its rooms.
public struct DeviceID: Identifier {
  public let high: UInt64
  public let low: UInt64
  public init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// A room: equal to the MLS group id (RFC 9420 section 8.1).
public struct RoomID: Identifier {
  public let high: UInt64
  public let low: UInt64
  public init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// A client's name for one send: a retry under the same name returns the first result.
public struct SendID: Identifier {
  public let high: UInt64
  public let low: UInt64
  public init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

enum Hex {
  static func value(of character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  static func text(of byte: UInt8) -> String {
    let digits = Array("0123456789abcdef")
    return String([digits[Int(byte >> 4)], digits[Int(byte & 15)]])
  }
}
