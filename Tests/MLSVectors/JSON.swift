#if DEBUG
import CryptoPrimitives
import E2ECrypto
import Foundation

/// A value of a vector file. Whatever is absent or of another type than asked for is a failure of the case.
struct JSON {
  let value: Any
  /// Where the value stands, for people.
  private let place: String

  init(_ value: Any, place: String = "") {
    self.value = value
    self.place = place
  }

  /// The names of an object's fields; none for anything else.
  var fields: Set<String> { Set((value as? [String: Any] ?? [:]).keys) }
  var isNull: Bool { value is NSNull }

  private func unlike(_ type: String) -> Finding {
    .failed("malformed: \(place.isEmpty ? "the case" : place) is not \(type)")
  }

  // MARK: Steps

  /// A field that must be there, though it may be null.
  func field(_ name: String) throws -> JSON {
    guard let object = value as? [String: Any] else { throw unlike("an object") }
    guard let found = object[name] else { throw Finding.failed("malformed: there is no \(path(name))") }
    return JSON(found, place: path(name))
  }

  /// A field that may be left out or null.
  func optional(_ name: String) -> JSON? {
    guard let found = (value as? [String: Any])?[name], !(found is NSNull) else { return nil }
    return JSON(found, place: path(name))
  }

  func entry(_ index: Int) throws -> JSON {
    let list = try self.list
    try require(list.indices.contains(index), "malformed: \(place) has no entry \(index)")
    return list[index]
  }

  private func path(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }

  // MARK: Values

  var list: [JSON] {
    get throws {
      guard let list = value as? [Any] else { throw unlike("a list") }
      return list.enumerated().map { JSON($1, place: "\(place)[\($0)]") }
    }
  }

  var int: Int {
    get throws {
      guard let number = value as? Int else { throw unlike("an integer") }
      return number
    }
  }

  var uint64: UInt64 {
    get throws {
      guard let number = value as? UInt64 else { throw unlike("an unsigned integer") }
      return number
    }
  }

  var uint32: UInt32 {
    get throws {
      guard let number = UInt32(exactly: try int) else { throw unlike("an integer of 32 bits") }
      return number
    }
  }

  var uint16: UInt16 {
    get throws {
      guard let number = UInt16(exactly: try int) else { throw unlike("an integer of 16 bits") }
      return number
    }
  }

  var string: String {
    get throws {
      guard let string = value as? String else { throw unlike("a string") }
      return string
    }
  }

  var hex: [UInt8] {
    get throws {
      let digits = Array(try string.utf8)
      var bytes: [UInt8] = []
      bytes.reserveCapacity(digits.count / 2)
      for place in stride(from: 0, to: digits.count - 1, by: 2) {
        guard let high = Self.digit(digits[place]), let low = Self.digit(digits[place + 1]) else {
          throw unlike("hexadecimal")
        }
        bytes.append(high << 4 | low)
      }
      guard digits.count.isMultiple(of: 2) else { throw unlike("hexadecimal") }
      return bytes
    }
  }

  private static func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  // MARK: Fields

  func int(_ name: String) throws -> Int { try field(name).int }
  func uint64(_ name: String) throws -> UInt64 { try field(name).uint64 }
  func uint32(_ name: String) throws -> UInt32 { try field(name).uint32 }
  func uint16(_ name: String) throws -> UInt16 { try field(name).uint16 }
  func string(_ name: String) throws -> String { try field(name).string }
  func hex(_ name: String) throws -> [UInt8] { try field(name).hex }
  func secret(_ name: String) throws -> Secret { Secret(copying: try hex(name)) }
  func list(_ name: String) throws -> [JSON] { try field(name).list }

  /// Compares a field with what was computed.
  func expect(_ name: String, _ found: [UInt8]) throws {
    try require(try hex(name) == found, "\(path(name)) is another")
  }

  func expect(_ name: String, _ found: Secret) throws {
    try require(try secret(name) == found, "\(path(name)) is another")
  }
}
#endif
