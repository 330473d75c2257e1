import RelayProtocol

/// The shape of a JSON value, as JSON Schema 2020-12 (which OpenAPI 3.1 uses) says it.
indirect enum Schema: Equatable, Sendable {
  struct Property: Equatable, Sendable {
    var name: String
    var schema: Schema
    var isRequired: Bool
  }

  /// A value without parts; the members are its JSON Schema.
  case leaf(JSONText)
  case list(Schema)
  /// Values by names that the sender chooses.
  case dictionary(Schema)
  case object(name: String, [Property])

  /// As it stands where it is used: objects by reference to the components.
  var text: JSONText {
    switch self {
    case .leaf(let members): members
    case .list(let element): .object([("type", .text("array")), ("items", element.text)])
    case .dictionary(let value): .object([("type", .text("object")), ("additionalProperties", value.text)])
    case .object(let name, _): .object([("$ref", .text("#/components/schemas/\(name)"))])
    }
  }

  /// The objects in it, itself included, by name.
  var objects: [String: JSONText] {
    switch self {
    case .leaf: [:]
    case .list(let element), .dictionary(let element): element.objects
    case .object(let name, let properties):
      properties.reduce(into: [name: Self.definition(properties)]) { all, property in
        all.merge(property.schema.objects) { first, _ in first }
      }
    }
  }

  private static func definition(_ properties: [Property]) -> JSONText {
    let required = properties.filter(\.isRequired).map { JSONText.text($0.name) }
    var members: [(String, JSONText)] = [
      ("type", .text("object")), ("properties", .object(properties.map { ($0.name, $0.schema.text) })),
    ]
    if !required.isEmpty { members.append(("required", .list(required))) }
    return .object(members)
  }

  // MARK: Leaves

  static let string = Schema.leaf(.object([("type", .text("string"))]))
  static let boolean = Schema.leaf(.object([("type", .text("boolean"))]))
  static let number = Schema.leaf(.object([("type", .text("number"))]))

  static func integer<Number: FixedWidthInteger>(_ type: Number.Type) -> Schema {
    .leaf(
      .object([
        ("type", .text("integer")), ("minimum", .number("\(Number.min)")), ("maximum", .number("\(Number.max)")),
      ]))
  }

  static func text(matching pattern: String, format: String? = nil, summary: String? = nil) -> Schema {
    var members: [(String, JSONText)] = [("type", .text("string"))]
    if let summary { members.append(("description", .text(summary))) }
    if let format { members.append(("format", .text(format))) }
    return .leaf(.object(members + [("pattern", .text(pattern))]))
  }

  /// One of the texts or numbers of an enum.
  static func choice(of values: [Any]) -> Schema {
    let texts = values.compactMap { $0 as? String }
    guard texts.isEmpty else {
      return .leaf(.object([("type", .text("string")), ("enum", .list(texts.map { .text($0) }))]))
    }
    return .leaf(.object([("type", .text("integer")), ("enum", .list(values.map { .number("\($0)") }))]))
  }

  static let identifier = text(
    matching: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", format: "uuid")
  static let base64URL = text(
    matching: "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$",
    summary: "Bytes as unpadded base64url.")
}

/// A type whose schema cannot be read off its decoding: it decodes from a text or a number that has a form of its own.
protocol SchemaLeaf {
  static var schema: Schema { get }
  /// Some value.
  static var sample: Self { get }
}

extension Base64URL: SchemaLeaf {
  static var schema: Schema { .base64URL }
  static var sample: Base64URL { Base64URL([1, 2, 3]) }
}

extension Schema {
  /// What types do not say: the form that a member must have to be taken.
  ///
  /// A member without a row here takes whatever its type takes. Keys are the type's name and the member's.
  static let notes: [String: Schema] = [
    "RegisterRequest.username": .text(matching: "^[a-z0-9][a-z0-9._-]{2,31}$"),
    "RegisterRequest.deviceList": .text(
      matching: "^[A-Za-z0-9_-]+$", summary: "A SignedDeviceList, number 1, with one device, as base64url."),
    "ExternalRegisterRequest.username": .text(matching: "^[a-z0-9][a-z0-9._-]{2,31}$"),
    "ExternalRegisterRequest.deviceList": .text(
      matching: "^[A-Za-z0-9_-]+$", summary: "A SignedDeviceList, number 1, with one device, as base64url."),
    "DeviceListRequest.deviceList": .text(
      matching: "^[A-Za-z0-9_-]+$", summary: "The next SignedDeviceList, as base64url."),
    "SendRequest.kind": .choice(of: [EntryKind.application.rawValue, EntryKind.proposal.rawValue]),
    "Problem.code": .choice(of: RelayCode.all.map(\.text)),
    "Problem.type": .choice(of: ["about:blank"]),
  ]
}
