import Foundation
import Testing

@testable import Networking

/// Attack 52: requests that two parsers would read in two ways, against the machine, a live server and nginx before it.
@Suite("Requests that try to be two")
struct CorpusTests {
  static let framed = Result { try CorpusCase.load("framing", "chunks", "heads") }
  static let all = Result { try CorpusCase.load("framing", "chunks", "heads", "server") }

  @Test func theMachineSaysWhatTheVerdictsSay() throws {
    for item in try Self.framed.get() {
      let whole = http(.server, item.bytes, piece: max(1, item.bytes.count))
      #expect(whole.filter { $0.hasPrefix("end ") }.count == item.requests, "\(item.name): \(whole)")
      #expect(whole.last { $0.hasPrefix("error ") } == item.status.map { "error \($0)" }, "\(item.name)")
      for piece in [1, 2, 3, 7] {
        #expect(http(.server, item.bytes, piece: piece) == whole, "\(item.name) in pieces of \(piece)")
      }
    }
  }

  @Test func aLiveServerAnswersWhatTheVerdictsSay() async throws {
    let cases = try Self.all.get()
    try await withServer(configure: {
      $0.headTimeout = .seconds(1)
      $0.bodyTimeout = .seconds(1)
      $0.keepAliveTimeout = .seconds(1)
    }) { _, address in
      for half in [cases[..<(cases.count / 2)], cases[(cases.count / 2)...]] {
        try await withThrowingTaskGroup { group in
          for item in half {
            group.addTask {
              let socket = try RawSocket(address)
              socket.write(item.bytes)
              let answer = await socket.readAll()
              let events = http(.client, Array(answer.utf8), piece: max(1, answer.utf8.count))
              #expect(events.compactMap { Int($0) } == item.statuses, "\(item.name): \(answer)")
            }
          }
          try await group.waitForAll()
        }
      }
    }
  }

  /// What nginx passes on, buffered or as it comes, Kin sees as exactly the requests that nginx saw: nginx gives each an id, and
  /// a request without one, or with another's, would be one that only Kin saw.
  @Test func nginxAndTheServerSeeTheSameRequests() async throws {
    let cases = try Self.all.get()
    let seen = Shared<[String]>([])
    let recorder = RecordingHandler(seen: seen)
    let group = EventLoopGroup(count: 1)
    var configuration = HTTPServer.Configuration()
    configuration.headTimeout = .seconds(3)
    let server = HTTPServer(configuration: configuration, loops: group.loops, handler: recorder)
    let address = try await server.start()
    let nginx = try await NginxProcess(before: "\(address)")
    for port in [nginx.port, nginx.streamingPort] {
      let front = SocketAddress(host: "127.0.0.1", port: port)
      try await withThrowingTaskGroup { group in
        for item in cases {
          group.addTask {
            let socket = try RawSocket(front)
            socket.write(item.bytes)
            _ = await socket.readAll()
          }
        }
        try await group.waitForAll()
      }
    }
    await server.drain(deadline: .seconds(1))
    await group.shutdown()
    let logged = Set(try nginx.accessLog.split(separator: "\n").map(String.init))
    let requests = seen.withLock { $0 }
    #expect(Set(requests).count == requests.count, "one request of nginx's was seen twice")
    for request in requests { #expect(logged.contains(request), "only Kin saw \(request)") }
    // It was no empty exercise: what is plain got through both ways.
    #expect(requests.count > 30, "\(requests.count)")
  }
}

/// Notes what it is asked, by the id that the proxy gave.
struct RecordingHandler: HTTPHandler {
  let seen: Shared<[String]>

  func handle(_ request: HTTPRequest) async -> HTTPResponse {
    let id = request.headers.values(for: "X-Request-ID").joined(separator: ",")
    let query = request.query.isEmpty ? "" : "?"
    seen.withLock { $0.append("\(id) \(request.method) \(request.path)\(query)") }
    return HTTPResponse(status: 200, body: request.body)
  }
}
