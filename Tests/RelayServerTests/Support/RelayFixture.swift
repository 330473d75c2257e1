import FoundationEssentials
import Glibc
import Networking
import Observability
import RelayProtocol
import Testing

@testable import RelayServer

/// A real relay in a folder of its own, on a free port.
struct RelayFixture: Sendable {
  let relay: Relay
  let folder: String
  let client = HTTPClient()
  /// The port of a relay in another process.
  private var otherPort: UInt16?

  var port: UInt16 { otherPort ?? relay.port }

  init(relay: Relay, folder: String) { (self.relay, self.folder) = (relay, folder) }

  /// For a relay that runs in another process: `relay` is none.
  init(port: UInt16, folder: String) {
    self.init(relay: Relay(configuration: Self.cheap), folder: folder)
    otherPort = port
  }

  static var cheap: RelayConfiguration {
    var configuration = RelayConfiguration()
    configuration.port = 0
    (configuration.passwordPasses, configuration.passwordMemoryKiB) = (1, 8)
    configuration.shutdownTimeout = .seconds(3)
    // A test that is not about it must not depend on what the machine has left.
    (configuration.shedFreeMemoryMiB, configuration.shedFreeDiskMiB) = (0, 0)
    return configuration
  }

  /// Runs a body beside a relay; folder and relay are gone afterwards.
  static func run(
    _ configure: (inout RelayConfiguration) -> Void = { _ in },
    clock: @escaping @Sendable () -> UInt64 = Relay.wallClock, _ body: (RelayFixture) async throws -> Void
  ) async throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = cheap
    configuration.dataDirectory = folder + "/data"
    configure(&configuration)
    let relay = Relay(
      configuration: configuration, log: LogSink(descriptor: STDERR_FILENO, level: .warning), clock: clock)
    try await relay.start()
    let result: Result<Void, any Error>
    do { result = .success(try await body(RelayFixture(relay: relay, folder: folder))) } catch {
      result = .failure(error)
    }
    await relay.shutdown()
    try result.get()
  }

  static func temporaryFolder() throws -> String {
    var template = Array("/tmp/kin-relay-test-XXXXXX".utf8CString)
    return try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  func url(_ path: String, scheme: String = "http") throws -> WebURL {
    try WebURL("\(scheme)://127.0.0.1:\(port)\(path)")
  }

  /// Sends any request, well-formed or not.
  func raw(
    _ method: String, _ path: String, token: String? = nil, body: [UInt8] = [], headers: HTTPHeaders = [:]
  ) async throws -> HTTPResponse {
    var headers = headers
    if let token { headers.set("Authorization", "Bearer \(token)") }
    let response = try await client.send(
      HTTPClientRequest(
        HTTPMethod(rawValue: method), try url(path), headers: headers, body: body, timeout: .seconds(60)))
    expectDocumented(method, path, response)
    return response
  }

  /// Every test is one of the OpenAPI document too: what a route answers must stand there.
  private func expectDocumented(_ method: String, _ path: String, _ response: HTTPResponse) {
    let segments = path.prefix { $0 != "?" }.split(separator: "/").map(String.init)
    guard let route = Route.all.first(where: { $0.method.rawValue == method && $0.match(segments) != nil }) else {
      return
    }
    if response.status < 300 {
      #expect(response.status == route.status, "\(method) \(route.path): its `status` in Routes.swift is another")
    } else if let problem = try? response.decoded(Problem.self), let code = RelayCode(text: problem.code) {
      #expect(
        (route.refusals + [.methodNotAllowed]).contains(code),
        "\(method) \(route.path) answered \(problem.code): add it to its `refuses` in Routes.swift")
    }
  }

  func call(
    _ route: Route, _ path: String? = nil, token: String? = nil, _ body: (any Encodable & Sendable)? = nil
  ) async throws -> HTTPResponse {
    let bytes = try body.map { Array(try JSONEncoder().encode($0)) } ?? []
    return try await raw(route.method.rawValue, path ?? route.path, token: token, body: bytes)
  }

  func person(_ name: String) async throws -> Person { try await Person.register(name, at: self) }
}

extension HTTPResponse {
  func decoded<T: Decodable>(_ type: T.Type = T.self) throws -> T { try JSONDecoder().decode(type, from: Data(body)) }

  /// The code of a problem document, all of whose fields must agree.
  func problem() throws -> String {
    guard let problem = try? decoded(Problem.self) else { return "status \(status)" }
    let code = try #require(RelayCode(text: problem.code))
    #expect(headers["Content-Type"] == "application/problem+json")
    #expect(problem.status == status && code.status == status)
    #expect(problem.retryable == code.isRetryable)
    return problem.code
  }
}

/// Fails instead of hanging.
func within<T: Sendable>(
  _ time: Duration = .seconds(20), _ body: @escaping @Sendable () async throws -> T
) async throws -> T {
  return try await withThrowingTaskGroup(of: T.self) { group in
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(for: time)
      throw Refusal(code: "time is up")
    }
    defer { group.cancelAll() }
    return try #require(try await group.next())
  }
}

func eventually(_ time: Duration = .seconds(60), _ condition: () async throws -> Bool) async throws -> Bool {
  let deadline = ContinuousClock.now + time
  while ContinuousClock.now < deadline {
    if try await condition() { return true }
    try await Task.sleep(for: .milliseconds(20))
  }
  return false
}
