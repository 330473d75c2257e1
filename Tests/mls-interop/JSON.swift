import FoundationEssentials

/// A JSON value, as far as the calls need it: all their numbers are unsigned.
enum JSON: Hashable, Sendable, Codable {
  case null
  case flag(Bool)
  case number(UInt64)
  case text(String)
  case list([JSON])
  case object([String: JSON])

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let flag = try? value.decode(Bool.self) {
      self = .flag(flag)
    } else if let number = try? value.decode(UInt64.self) {
      self = .number(number)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let list = try? value.decode([JSON].self) {
      self = .list(list)
    } else {
      self = .object(try value.decode([String: JSON].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .null: try value.encodeNil()
    case .flag(let flag): try value.encode(flag)
    case .number(let number): try value.encode(number)
    case .text(let text): try value.encode(text)
    case .list(let list): try value.encode(list)
    case .object(let object): try value.encode(object)
    }
  }

  /// `bytes` of the proto: base64.
  static func bytes(_ bytes: [UInt8]) -> JSON { .text(Data(bytes).base64EncodedString()) }

  static func number(_ number: UInt32) -> JSON { .number(UInt64(number)) }
}
