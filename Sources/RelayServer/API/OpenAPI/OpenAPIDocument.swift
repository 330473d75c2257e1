import Networking
import RelayProtocol

/// The OpenAPI 3.1 document of the REST interface, made of ``Route/all`` and the types of the bodies.
package enum OpenAPIDocument {
  /// The document; empty if a type's schema cannot be read, which a test finds before any release.
  package static let text: String = (try? make()) ?? ""

  /// - Throws: ``SchemaWalker/Unreadable`` for a body whose schema cannot be read.
  static func make(_ routes: [Route] = Route.all) throws -> String {
    var objects = try SchemaWalker.walk(Problem.self).schema.objects
    var paths: [(String, [(String, JSONText)])] = []
    for route in routes {
      for body in route.bodies { objects.merge(try SchemaWalker.walk(body: body).schema.objects) { first, _ in first } }
      let operation = (route.method.rawValue.lowercased(), try operation(route))
      if let index = paths.firstIndex(where: { $0.0 == route.path }) {
        paths[index].1.append(operation)
      } else {
        paths.append((route.path, [operation]))
      }
    }
    return JSONText.object([
      ("openapi", .text("3.1.0")),
      (
        "info",
        .object([
          ("title", .text("Kin relay")), ("version", .text("1")),
          (
            "description",
            .text(
              "What a client asks of a relay over HTTP. The relay cannot read what it carries. Times are milliseconds since"
                + " 1970 unless a member says seconds; clients ignore members that they do not know.")
          ),
        ])
      ),
      ("paths", .object(paths.map { ($0.0, .object($0.1)) })),
      (
        "components",
        .object([
          ("schemas", .object(objects.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })),
          (
            "securitySchemes",
            .object([("session", .object([("type", .text("http")), ("scheme", .text("bearer"))]))])
          ),
        ])
      ),
    ]).written + "\n"
  }

  private static func operation(_ route: Route) throws -> JSONText {
    var members: [(String, JSONText)] = [("summary", .text(route.summary))]
    members.append(("operationId", .text(route.operationID)))
    let parameters = route.placeholders.map(parameter) + route.query.map(parameter)
    if !parameters.isEmpty { members.append(("parameters", .list(parameters))) }
    if let body = route.takes {
      let content = JSONText.object([
        ("application/json", .object([("schema", try SchemaWalker.walk(body: body).schema.text)]))
      ])
      members.append(("requestBody", .object([("required", .boolean(true)), ("content", content)])))
    }
    members.append(("responses", .object(try responses(route))))
    if route.authorization == .session {
      members.append(("security", .list([.object([("session", .list([]))])])))
    }
    return .object(members)
  }

  // MARK: Parameters

  /// The forms of the paths' placeholders; a name that is not here is any text.
  private static let placeholders: [String: Schema] = [
    "room": .identifier, "device": .identifier, "welcome": .integer(UInt64.self),
  ]

  private static func parameter(_ placeholder: String) -> JSONText {
    .object([
      ("name", .text(placeholder)), ("in", .text("path")), ("required", .boolean(true)),
      ("schema", (placeholders[placeholder] ?? .string).text),
    ])
  }

  private static func parameter(_ query: Route.Query) -> JSONText {
    .object([
      ("name", .text(query.name)), ("in", .text("query")), ("description", .text(query.summary)),
      ("schema", (query.isText ? Schema.string : Schema.integer(UInt64.self)).text),
    ])
  }

  // MARK: Responses

  private static func responses(_ route: Route) throws -> [(String, JSONText)] {
    var responses: [(String, JSONText)] = [("\(route.status)", try success(route))]
    let statuses = Dictionary(grouping: route.refusals + [.methodNotAllowed], by: \.status)
    for (status, codes) in statuses.sorted(by: { $0.key < $1.key }) {
      responses.append(("\(status)", try refusal(codes)))
    }
    // What is no request at all is refused before there is a route; RFC 9110 says what these mean.
    for status in [408, 414, 431] where statuses[status] == nil {
      responses.append(("\(status)", .object([("description", .text("Not a request that the relay reads."))])))
    }
    return responses
  }

  private static func success(_ route: Route) throws -> JSONText {
    switch route.gives {
    case .nothing: return .object([("description", .text("Done."))])
    case .upgrade: return .object([("description", .text("Switching to the WebSocket protocol (RFC 6455)."))])
    case .media(let type):
      let schema = JSONText.object([("type", .text(type.hasSuffix("json") ? "object" : "string"))])
      return .object([
        ("description", .text("Done.")), ("content", .object([(type, .object([("schema", schema)]))])),
      ])
    case .json(let body):
      let schema = try SchemaWalker.walk(body: body).schema.text
      return .object([
        ("description", .text("Done.")),
        ("content", .object([("application/json", .object([("schema", schema)]))])),
      ])
    }
  }

  private static func refusal(_ codes: [RelayCode]) throws -> JSONText {
    let words = codes.map { "`\($0.text)`" }.joined(separator: ", ")
    var members: [(String, JSONText)] = [("description", .text("Refused: \(words)."))]
    if codes.contains(where: { $0 == .rateLimited || $0 == .unavailable }) {
      let retry = JSONText.object([
        ("description", .text("Seconds, where they are known.")),
        ("schema", .object([("type", .text("integer")), ("minimum", .number("1"))])),
      ])
      members.append(("headers", .object([("Retry-After", retry)])))
    }
    members.append(
      (
        "content",
        .object([
          (
            "application/problem+json",
            .object([("schema", try SchemaWalker.walk(Problem.self).schema.text)])
          )
        ])
      ))
    return .object(members)
  }
}

extension Route {
  /// The names between braces in the path.
  var placeholders: [String] {
    path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
  }

  /// The types of its bodies.
  var bodies: [Body] {
    var bodies = takes.map { [$0] } ?? []
    if case .json(let body) = gives { bodies.append(body) }
    return bodies
  }

  /// A name that is made of method and path, hence as lasting as they are.
  var operationID: String {
    let words = path.split(separator: "/").map { $0.filter { $0.isLetter || $0.isNumber } }
    return method.rawValue.lowercased() + words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }
}
