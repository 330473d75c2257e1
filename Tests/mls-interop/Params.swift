import FoundationEssentials

/// The fields of a request or of a message within it. What is absent has the default of proto3: empty, zero or false.
struct Params {
  private let fields: [String: JSON]

  /// - Throws: a failure if there are fields that the call does not have: a slip of the pen would otherwise look like a
  ///   default.
  init(_ value: JSON?, fields known: Set<String>) throws {
    switch value {
    case nil, .null?: fields = [:]
    case .object(let object)?:
      if let stranger = object.keys.sorted().first(where: { !known.contains($0) }) {
        throw Failure(.invalidArgument, "there is no field \(stranger.prefix(40)) here")
      }
      fields = object.filter { $0.value != .null }
    default: throw Failure(.invalidArgument, "the parameters are not an object")
    }
  }

  func bytes(_ name: String) throws -> [UInt8] {
    guard let value = fields[name] else { return [] }
    return try Self.bytes(value, name)
  }

  func byteList(_ name: String) throws -> [[UInt8]] { try list(name).map { try Self.bytes($0, name) } }

  func text(_ name: String) throws -> String {
    guard let value = fields[name] else { return "" }
    guard case .text(let text) = value else { throw Failure(.invalidArgument, "\(name) is not a string") }
    return text
  }

  func flag(_ name: String) throws -> Bool {
    guard let value = fields[name] else { return false }
    guard case .flag(let flag) = value else { throw Failure(.invalidArgument, "\(name) is neither true nor false") }
    return flag
  }

  /// A number, which may also stand in a string, as proto3's own JSON has it for those of 64 bits.
  func number<Number: FixedWidthInteger & UnsignedInteger>(_ name: String, as _: Number.Type) throws -> Number {
    let number: Number? =
      switch fields[name] {
      case nil: 0
      case .number(let number)?: Number(exactly: number)
      case .text(let text)?: Number(text)
      default: nil
      }
    guard let number else { throw Failure(.invalidArgument, "\(name) is not a number of its size") }
    return number
  }

  func id(_ name: String) throws -> UInt32 { try number(name, as: UInt32.self) }

  /// A message within this one.
  func message(_ name: String, fields known: Set<String>) throws -> Params {
    try Params(fields[name], fields: known)
  }

  func messages(_ name: String, fields known: Set<String>) throws -> [Params] {
    try list(name).map { try Params($0, fields: known) }
  }

  private func list(_ name: String) throws -> [JSON] {
    guard let value = fields[name] else { return [] }
    guard case .list(let list) = value else { throw Failure(.invalidArgument, "\(name) is not a list") }
    return list
  }

  /// Base64 in either alphabet, with or without its padding.
  private static func bytes(_ value: JSON, _ name: String) throws -> [UInt8] {
    guard case .text(var text) = value else { throw Failure(.invalidArgument, "\(name) is not base64 in a string") }
    if text.utf8.contains(where: { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }) {
      text = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
    }
    while text.utf8.count % 4 != 0 { text += "=" }
    guard let data = Data(base64Encoded: text) else { throw Failure(.invalidArgument, "\(name) is not base64") }
    return [UInt8](data)
  }
}
