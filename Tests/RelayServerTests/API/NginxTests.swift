import Foundation
import Glibc
import Networking
import RelayProtocol
import RelayServer
import TestServers
import Testing
import WireCodec

/// A live relay with a real nginx before it.
struct NginxTests {
  /// nginx on a port of its own, which reaches the relay from 127.0.0.2: an address that no client of the test has.
  private static func withNginx(before relay: UInt16, _ body: (UInt16) async throws -> Void) async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let port = try Loopback.lastingPort()
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(folder)/\($0);" }
    let configuration = """
      daemon off; master_process off; pid \(folder)/pid; error_log \(folder)/error.log;
      events {}
      http {
        access_log off; \(paths.joined(separator: " "))
        map $http_upgrade $kin_connection { default upgrade; '' ''; }
        server {
          listen 127.0.0.1:\(port);
          location / {
            proxy_pass http://127.0.0.1:\(relay); proxy_bind 127.0.0.2; proxy_http_version 1.1;
            proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $kin_connection;
          }
        }
      }
      """
    try configuration.write(toFile: folder + "/nginx.conf", atomically: true, encoding: .utf8)
    let pid = try Peer.start(
      ["/usr/sbin/nginx", "-p", folder, "-e", folder + "/error.log", "-c", folder + "/nginx.conf"],
      output: folder + "/out")
    defer {
      kill(pid, SIGKILL)
      var status: Int32 = 0
      waitpid(pid, &status, 0)
    }
    let url = try WebURL("http://127.0.0.1:\(port)/livez")
    let isUp = try await eventually { (try? await HTTPClient().send(HTTPClientRequest(.get, url)))?.status == 200 }
    try #require(isUp, "nginx does not serve: ./dev test installs it")
    try await body(port)
  }

  /// Attack 49 through a proxy: a client that writes its own `X-Forwarded-For` stays who it is, on requests and sockets.
  @Test func aForgedAddressDoesNotPassNginx() async throws {
    try await RelayFixture.run {
      ($0.visitorAttemptBurst, $0.visitorAttemptsPerMinute) = (3, 1)
      $0.connectionsPerAddress = 3
      $0.trustedProxies = [AddressRange("127.0.0.2")].compactMap { $0 }
    } _: { fixture in
      let alice = try await fixture.person("alice")
      try await Self.withNginx(before: fixture.relay.port) { port in
        let client = HTTPClient()
        var codes: [String] = []
        for number in 1...4 {
          let request = HTTPClientRequest(
            .post, try WebURL("http://127.0.0.1:\(port)/v1/accounts"),
            headers: ["X-Forwarded-For": "203.0.113.\(number), 127.0.0.2"], body: [1])
          codes.append(try await client.send(request).problem())
        }
        // Alice registered from the same address, without the proxy.
        #expect(codes == ["invalid_request", "invalid_request", "rate_limited", "rate_limited"])

        func socket(_ forged: String) async throws -> WebSocketStream {
          try await WebSocketClient().connect(
            WebURL("ws://127.0.0.1:\(port)\(Route.socket.path)"),
            headers: ["Authorization": "Bearer \(alice.token)", "X-Forwarded-For": forged],
            subprotocol: Route.subprotocol)
        }
        // The fixture's own connection is this address's as well.
        var open: [WebSocketStream] = []
        await #expect(throws: NetworkError(.upgradeRefused, "")) {
          for number in 1...4 { open.append(try await socket("198.51.100.\(number)")) }
        }
        #expect((1...3).contains(open.count))
        // What is open works through nginx.
        var frames = open[0].makeAsyncIterator()
        guard case .binary(let bytes)? = await frames.next(),
          case .ready(let device, _) = try RelayFrame(decoding: bytes)
        else {
          Issue.record("not ready")
          return
        }
        #expect(device == alice.device)
        client.close()
      }
    }
  }
}
