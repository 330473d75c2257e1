import Glibc
import Networking

/// Where an issuer's keys come from.
enum KeySetSource: Sendable {
  case file(String)
  /// The client's context says whom it trusts, and its limits how much it takes.
  case url(WebURL, HTTPClient)

  static let timeout = Duration.seconds(10)

  /// A client that is fit for it: it follows no redirect, reads no more than a set may have, and checks certificates.
  static func client(trusting context: TLSClientContext, loop: EventLoop) -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    configuration.tls = context
    configuration.connectTimeout = .seconds(5)
    configuration.maxBodyBytes = KeySet.maxBytes
    return HTTPClient(configuration: configuration, loop: loop)
  }

  /// A file is read from the disk, so not to be called on a loop.
  func read() async -> Result<KeySet, KeySet.Fault> {
    switch self {
    case .file(let path): Self.read(path)
    case .url(let url, let client): await Self.get(url, client)
    }
  }

  private static func get(_ url: WebURL, _ client: HTTPClient) async -> Result<KeySet, KeySet.Fault> {
    do throws(NetworkError) {
      let request = HTTPClientRequest(
        .get, url, headers: ["Accept": "application/jwk-set+json, application/json"], timeout: timeout)
      let response = try await client.send(request)
      return response.status == 200 ? set(response.body) : .failure(.status)
    } catch {
      return .failure(error.code == .tooLarge ? .tooLong : .notReached)
    }
  }

  static func read(_ path: String) -> Result<KeySet, KeySet.Fault> {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return .failure(.notReached) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return .failure(.notReached) }
    guard status.st_size <= KeySet.maxBytes else { return .failure(.tooLong) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while bytes.count <= KeySet.maxBytes {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { return .failure(.notReached) }
      if count == 0 { break }
      bytes += buffer[..<count]
    }
    return set(bytes)
  }

  private static func set(_ bytes: [UInt8]) -> Result<KeySet, KeySet.Fault> {
    do throws(KeySet.Fault) { return .success(try KeySet(bytes)) } catch { return .failure(error) }
  }
}
