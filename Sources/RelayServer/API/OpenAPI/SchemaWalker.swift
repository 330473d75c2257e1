import RelayProtocol

/// Reads the schema of a body off its type: lets it decode itself from nothing, and writes down what it asks for.
///
/// So a schema cannot differ from what the type takes. A member that is asked for by `decodeIfPresent` is optional.
final class SchemaWalker: Decoder {
  /// A type decodes in a way that cannot be followed.
  struct Unreadable: Error, CustomStringConvertible {
    let type: String
    var description: String {
      "the schema of \(type) cannot be read: make it an enum with raw values that is CaseIterable, or a SchemaLeaf"
    }
  }

  /// The schema of a type, and a value with all its members.
  static func walk<T: Decodable>(_ type: T.Type) throws -> (schema: Schema, sample: T) {
    if let leaf = try leaf(type) { return leaf }
    let walker = SchemaWalker(type)
    let sample = try T(from: walker)
    guard let schema = walker.schema else { throw Unreadable(type: "\(type)") }
    return (schema, sample)
  }

  static func walk(body: Route.Body) throws -> (schema: Schema, sample: any Codable & Sendable) {
    func open<T: Codable & Sendable>(_ type: T.Type) throws -> (Schema, any Codable & Sendable) { try walk(type) }
    return try open(body)
  }

  private static func leaf<T: Decodable>(_ type: T.Type) throws -> (schema: Schema, sample: T)? {
    func found(_ schema: Schema, _ sample: Any) -> (Schema, T)? { (sample as? T).map { (schema, $0) } }
    switch type {
    case is String.Type: return found(.string, "text")
    case is Bool.Type: return found(.boolean, true)
    case is Double.Type: return found(.number, 1.0)
    case is Float.Type: return found(.number, Float(1))
    case let type as any SchemaLeaf.Type: return found(type.schema, type.sample)
    case let type as any RelayProtocol.Identifier.Type: return found(.identifier, type.init(high: 1, low: 2))
    case let type as any RawRepresentable.Type:
      // Not `CaseIterable & RawRepresentable` at once: the second has a requirement that the cast must not lose.
      guard let (schema, sample) = choice(type) else { throw Unreadable(type: "\(type)") }
      return found(schema, sample)
    case let type as any FixedWidthInteger.Type: return found(integer(type), whole(type))
    default: return nil
    }
  }

  private static func integer<N: FixedWidthInteger>(_ type: N.Type) -> Schema { .integer(type) }
  private static func whole<N: FixedWidthInteger>(_ type: N.Type) -> Any { N(1) }

  private static func choice<R: RawRepresentable>(_ type: R.Type) -> (Schema, Any)? {
    func cases<C: CaseIterable>(_ type: C.Type) -> [Any] { Array(type.allCases) }
    guard let iterable = type as? any CaseIterable.Type else { return nil }
    let values = cases(iterable).compactMap { $0 as? R }
    guard let first = values.first else { return nil }
    return (.choice(of: values.map(\.rawValue)), first)
  }

  // MARK: The decoder

  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]
  private let type: Any.Type
  private var element: Schema?
  private var properties: [Schema.Property] = []
  private var optional: Set<String> = []
  private var isObject = false

  private init(_ type: Any.Type) { self.type = type }

  private var schema: Schema? {
    if let element { return type is any SchemaDictionary.Type ? .dictionary(element) : .list(element) }
    guard isObject else { return nil }
    return .object(name: Self.name(of: type), properties)
  }

  /// The name without its module; a nested type keeps the name around it.
  private static func name(of type: Any.Type) -> String {
    String(reflecting: type).split(separator: ".").dropFirst().joined(separator: ".")
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    isObject = true
    return KeyedDecodingContainer(Members<Key>(walker: self))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer { Elements(walker: self) }

  func singleValueContainer() throws -> any SingleValueDecodingContainer { throw Unreadable(type: "\(type)") }

  private func member<T: Decodable>(_ name: String, _ type: T.Type) throws -> T {
    let (schema, sample) = try Self.walk(type)
    if self.type is any SchemaDictionary.Type {
      element = schema
    } else if !properties.contains(where: { $0.name == name }) {
      let noted = Schema.notes["\(Self.name(of: self.type)).\(name)"] ?? schema
      properties.append(Schema.Property(name: name, schema: noted, isRequired: !optional.contains(name)))
    }
    return sample
  }

  private struct Members<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let walker: SchemaWalker
    var codingPath: [any CodingKey] { [] }
    /// A dictionary asks for them; an object knows its own.
    var allKeys: [Key] { Key(stringValue: "name").map { [$0] } ?? [] }

    /// Only `decodeIfPresent` asks.
    func contains(_ key: Key) -> Bool {
      walker.optional.insert(key.stringValue)
      return true
    }
    func decodeNil(forKey key: Key) throws -> Bool { false }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
      try walker.member(key.stringValue, type)
    }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try walker.member(key.stringValue, type) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try walker.member(key.stringValue, type) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try walker.member(key.stringValue, type) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try walker.member(key.stringValue, type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try walker.member(key.stringValue, type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try walker.member(key.stringValue, type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try walker.member(key.stringValue, type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try walker.member(key.stringValue, type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try walker.member(key.stringValue, type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try walker.member(key.stringValue, type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try walker.member(key.stringValue, type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try walker.member(key.stringValue, type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try walker.member(key.stringValue, type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try walker.member(key.stringValue, type) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
      -> KeyedDecodingContainer<Nested>
    { throw Unreadable(type: "\(walker.type)") }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
      throw Unreadable(type: "\(walker.type)")
    }
    func superDecoder() throws -> any Decoder { throw Unreadable(type: "\(walker.type)") }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw Unreadable(type: "\(walker.type)") }
  }

  /// One element, whose schema is that of all.
  private struct Elements: UnkeyedDecodingContainer {
    let walker: SchemaWalker
    var codingPath: [any CodingKey] { [] }
    var count: Int? { 1 }
    var currentIndex = 0
    var isAtEnd: Bool { currentIndex == 1 }

    mutating func decodeNil() throws -> Bool { false }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
      currentIndex = 1
      let (schema, sample) = try SchemaWalker.walk(type)
      walker.element = schema
      return sample
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws
      -> KeyedDecodingContainer<Nested>
    { throw Unreadable(type: "\(walker.type)") }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
      throw Unreadable(type: "\(walker.type)")
    }
    mutating func superDecoder() throws -> any Decoder { throw Unreadable(type: "\(walker.type)") }
  }
}

/// Tells dictionaries from other types.
protocol SchemaDictionary {}
extension Dictionary: SchemaDictionary where Key == String {}
