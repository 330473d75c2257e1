import Networking
import RelayProtocol
import Synchronization

/// The real way to a relay: HTTP/1.1 and a WebSocket over TCP or TLS.
final class NetworkTransport: RelayTransport {
  private let base: WebURL
  private let http: HTTPClient
  private let sockets: WebSocketClient

  /// - Throws: `invalidRelayURL`, also for plain HTTP to another machine unless that was allowed; `tlsFailed`.
  init(_ configuration: Configuration) throws(ChatError) {
    do {
      let url = try WebURL(configuration.relay)
      guard url.scheme == .http || url.scheme == .https else { throw ChatError(.invalidRelayURL) }
      let isLocal = ["localhost", "127.0.0.1", "::1"].contains(url.host)
      guard url.scheme == .https || isLocal || configuration.allowsPlainHTTP else {
        throw ChatError(.invalidRelayURL, detail: "https:// is needed for another machine")
      }
      base = url
      var httpConfiguration = HTTPClient.Configuration()
      var socketConfiguration = WebSocketClient.Configuration()
      if url.scheme == .https {
        let tls = try TLSClientContext(trustedCertificates: configuration.trustedCertificates)
        httpConfiguration.tls = tls
        socketConfiguration.tls = tls
      }
      // A commit of the largest room is the longest entry; in base64url it is a third longer.
      httpConfiguration.maxBodyBytes = Limits.commitRequest * 2
      socketConfiguration.limits.maxMessageBytes = Limits.commitRequest + 1024
      http = HTTPClient(configuration: httpConfiguration)
      sockets = WebSocketClient(configuration: socketConfiguration)
    } catch let error as ChatError { throw error } catch { throw ChatError(wrapping: error) }
  }

  func call(_ call: RelayCall) async throws -> RelayAnswer {
    var headers: HTTPHeaders = ["Accept": "application/json"]
    if !call.body.isEmpty { headers.append("Content-Type", "application/json") }
    if let token = call.token { headers.append("Authorization", "Bearer \(token)") }
    do {
      let response = try await http.send(
        HTTPClientRequest(
          HTTPMethod(rawValue: call.method), base.appending(path: call.path, query: call.query), headers: headers,
          body: call.body, timeout: call.timeout))
      return RelayAnswer(status: response.status, body: response.body)
    } catch { throw ChatError(wrapping: error) }
  }

  func openSocket(token: String) async throws -> any RelaySocket {
    let url = base.with(scheme: base.scheme == .https ? .wss : .ws).appending(path: Route.socket.path)
    do {
      let stream = try await sockets.connect(
        url, headers: ["Authorization": "Bearer \(token)"], subprotocol: Route.subprotocol)
      return NetworkSocket(stream)
    } catch {
      if error.code == .upgradeRefused {
        throw ChatError(.webSocketRefused, underlying: error, isRetryable: error.isRetryable)
      }
      throw ChatError(wrapping: error)
    }
  }

  func close() { http.close() }
}

private final class NetworkSocket: RelaySocket {
  private let stream: WebSocketStream

  init(_ stream: WebSocketStream) { self.stream = stream }

  func send(_ frame: [UInt8]) async throws {
    do { try await stream.send(binary: frame) } catch { throw ChatError(wrapping: error) }
  }

  func next() async -> [UInt8]? {
    var iterator = stream.makeAsyncIterator()
    while let message = await iterator.next() {
      // The protocol has binary messages only; the relay would not send another.
      if case .binary(let bytes) = message { return bytes }
    }
    return nil
  }

  var closeCode: UInt16? { stream.closeCode?.rawValue }

  func close() { stream.close() }
}
