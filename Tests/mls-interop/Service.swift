import FoundationEssentials

/// Takes a call and gives its answer. Nothing that comes in ends the program.
final class Service {
  private let client: Client
  private let decoder = JSONDecoder()
  private let encoder = JSONEncoder()

  init(client: Client) {
    self.client = client
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  }

  func answer(_ line: InputLines.Line) -> [UInt8] {
    var id = JSON.null
    var answer: [String: JSON] = [:]
    do {
      answer["result"] = .object(try call(line, id: &id))
    } catch {
      answer["error"] = Failure(describing: error).json
    }
    answer["id"] = id
    // A value that was decoded or made here can always be encoded.
    guard let data = try? encoder.encode(answer) else { return Array(#"{"error":{"code":"INTERNAL"}}"#.utf8) }
    return [UInt8](data)
  }

  private func call(_ line: InputLines.Line, id: inout JSON) throws -> [String: JSON] {
    guard case .bytes(let bytes) = line else { throw Failure(.resourceExhausted, "the line is too long") }
    guard let decoded = try? decoder.decode(JSON.self, from: Data(bytes)), case .object(let call) = decoded else {
      throw Failure(.invalidArgument, "the line is not a JSON object with unsigned numbers")
    }
    id = call["id"] ?? .null
    guard call.keys.allSatisfy(["id", "method", "params"].contains) else {
      throw Failure(.invalidArgument, "a call has an id, a method and params")
    }
    guard case .text(let name)? = call["method"] else { throw Failure(.invalidArgument, "the method is not a string") }
    guard let method = Method.named[name] else { throw Failure(.unimplemented, "there is no such method") }
    return try method.run(client, Params(call["params"], fields: method.fields))
  }
}
