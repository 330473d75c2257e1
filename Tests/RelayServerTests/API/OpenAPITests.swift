import Foundation
import Networking
import RelayProtocol
import Testing

@testable import RelayServer

/// The OpenAPI document is true: it says what the relay does, and all of it.
struct OpenAPITests {
  typealias Object = [String: Any]

  static func document() throws -> Object {
    try #require(try JSONSerialization.jsonObject(with: Data(OpenAPIDocument.make().utf8)) as? Object)
  }

  /// `METHOD path` to the operation.
  static func operations() throws -> [String: Object] {
    let paths = try #require(try document()["paths"] as? [String: [String: Object]])
    return paths.reduce(into: [:]) { all, path in
      for (method, operation) in path.value { all["\(method.uppercased()) \(path.key)"] = operation }
    }
  }

  @Test func hasEveryRouteAndNoOther() throws {
    let source = try String(
      contentsOf: Peer.root.appending(path: "Sources/RelayProtocol/Routes.swift"), encoding: .utf8)
    #expect(
      source.split(separator: "= Route(").count - 1 == Route.all.count,
      "a route of Sources/RelayProtocol/Routes.swift is missing in Route.all")
    #expect(Set(Route.all).count == Route.all.count, "a route stands twice in Route.all")
    let served = Set(API.endpoints.keys).union([.socket])
    for route in Route.all {
      let name = "\(route.method.rawValue) \(route.path)"
      #expect(served.contains(route), "\(name) has no endpoint: add one to a group of API.endpoints")
      #expect(!route.summary.isEmpty, "\(name): say in its line in Routes.swift, as the summary, what it does")
    }
    for route in served where !Route.all.contains(route) {
      Issue.record("\(route.method.rawValue) \(route.path) is served but not in Route.all: add it there")
    }
    let stated = Set(try Self.operations().keys)
    #expect(stated == Set(Route.all.map { "\($0.method.rawValue) \($0.path)" }))
    let identifiers = try Self.operations().values.compactMap { $0["operationId"] as? String }
    #expect(Set(identifiers).count == Route.all.count)
  }

  /// The schema of each body has exactly the members that the type writes.
  @Test func describesEveryBody() throws {
    let components = try #require(try Self.document()["components"] as? Object)
    let schemas = try #require(components["schemas"] as? [String: Object])
    for route in Route.all {
      for body in route.bodies {
        let (schema, sample) = try SchemaWalker.walk(body: body)
        let written = try JSONSerialization.jsonObject(with: JSONEncoder().encode(sample), options: .fragmentsAllowed)
        let stated = try JSONSerialization.jsonObject(with: Data(schema.text.written.utf8))
        compare(written, try #require(stated as? Object), schemas, "\(body)")
      }
    }
  }

  /// Follows a value and its schema side by side.
  private func compare(_ value: Any, _ schema: Object, _ schemas: [String: Object], _ place: String) {
    var schema = schema
    if let reference = schema["$ref"] as? String {
      let name = reference.split(separator: "/").last.map(String.init) ?? ""
      schema = schemas[name] ?? [:]
    }
    switch value {
    case let object as Object where schema["properties"] != nil:
      let properties = schema["properties"] as? [String: Object] ?? [:]
      #expect(Set(object.keys) == Set(properties.keys), "the members of \(place) are not those of its schema")
      #expect(Set(schema["required"] as? [String] ?? []).isSubset(of: properties.keys))
      for (key, member) in object { compare(member, properties[key] ?? [:], schemas, "\(place).\(key)") }
    case let list as [Any]:
      #expect(schema["type"] as? String == "array", "\(place)")
      for element in list { compare(element, schema["items"] as? Object ?? [:], schemas, "\(place)[]") }
    case is String: #expect(schema["type"] as? String == "string", "\(place)")
    case is NSNumber:
      #expect(["integer", "number", "boolean"].contains(schema["type"] as? String), "\(place)")
    default: #expect(schema["type"] as? String == "object", "\(place)")
    }
  }

  @Test func listsEveryCode() throws {
    let problem = try SchemaWalker.walk(Problem.self).schema.objects["Problem"]
    for code in RelayCode.all { #expect(problem?.written.contains("\"\(code.text)\"") == true, "\(code.text)") }
    let operations = try Self.operations()
    for route in Route.all {
      let responses = operations["\(route.method.rawValue) \(route.path)"]?["responses"] as? [String: Object]
      for code in route.refusals {
        let text = responses?["\(code.status)"]?["description"] as? String
        #expect(text?.contains("`\(code.text)`") == true, "\(route.path): \(code.text)")
      }
    }
  }

  @Test func isServedAndKept() async throws {
    let kept = try String(contentsOf: Peer.root.appending(path: "docs/openapi.json"), encoding: .utf8)
    let isKept = try kept == OpenAPIDocument.make()
    #expect(isKept, "write it anew: .build/debug/relay-server --print-openapi > docs/openapi.json")
    try await RelayFixture.run { fixture in
      let response = try await fixture.call(.openAPI)
      #expect(response.status == 200 && response.headers["Content-Type"] == "application/json")
      let isServed = String(decoding: response.body, as: UTF8.self) == kept
      #expect(isServed)
    }
  }

  /// Types in the ways of their decoding that bodies may come to use.
  @Test func readsTypes() throws {
    enum Word: String, Codable, CaseIterable, Sendable { case one, two }
    struct Inner: Codable, Sendable { var flag: Bool? }
    struct Outer: Codable, Sendable {
      var word: Word
      var words: [Word]?
      var inner: Inner
      var byName: [String: Int]
      var nested: [[UInt8]]
      var ratio: Double
    }
    enum Odd: Codable { case one(Int) }
    enum Nameless: UInt8, Codable { case one }
    let (schema, sample) = try SchemaWalker.walk(Outer.self)
    guard case .object(_, let properties) = schema else {
      Issue.record("\(schema)")
      return
    }
    #expect(properties.map(\.name) == ["word", "words", "inner", "byName", "nested", "ratio"])
    #expect(properties.map(\.isRequired) == [true, false, true, true, true, true])
    #expect(properties[0].schema == .choice(of: ["one", "two"]))
    #expect(properties[3].schema == .dictionary(.integer(Int.self)))
    #expect(properties[4].schema == .list(.list(.integer(UInt8.self))))
    #expect(sample.word == .one && sample.words == [.one] && sample.inner.flag == true)
    #expect(throws: (any Error).self) { try SchemaWalker.walk(Odd.self) }
    #expect(throws: (any Error).self) { try SchemaWalker.walk(Nameless.self) }
  }
}
