import COpenSSL

/// One TLS connection without a socket: sealed bytes in and out on one side, plain bytes on the other.
///
/// OpenSSL reads from where the socket's bytes are and writes into a buffer of the loop: an idle connection holds neither.
final class TLSEngine {
  enum ReadResult {
    case bytes(Int)
    case needsInput
    case ended
  }

  private let ssl: OpaquePointer
  private let passage: TLSPassage
  /// Sealed bytes that wait to go to the peer; lend it a buffer before sealing.
  var sealed: [UInt8] = []
  /// What one read of the socket brought, during ``feed(_:while:)``.
  private var lent = UnsafeRawBufferPointer(start: nil, count: 0)
  /// What was not opened then, because the owner does not want more for now.
  private var kept: [UInt8] = []
  private var keptOffset: UInt32 = 0
  let isClient: Bool
  private(set) var isEstablished = false
  private var hasShutDown = false
  private var hasFailed = false
  /// Called once, within ``handshake()``.
  var onEstablished: (() -> Void)?

  convenience init(server: TLSServerContext, on loop: EventLoop) throws(NetworkError) {
    let loaded = server.current
    // A reload may let go of it between here and OpenSSL's own reference.
    defer { withExtendedLifetime(loaded) {} }
    try self.init(context: loaded.context, passage: loop.passage(), isClient: false)
    SSL_set_accept_state(ssl)
  }

  convenience init(client: TLSClientContext, host: String, on loop: EventLoop) throws(NetworkError) {
    try self.init(context: client.context, passage: loop.passage(), isClient: true)
    SSL_set_connect_state(ssl)
    let parameters = SSL_get0_param(ssl)
    X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
    // An address must be in the certificate as an address, a name as a name.
    let isSet: Bool
    if SocketAddress.storage(host: host, port: 0) != nil {
      isSet = X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1
    } else {
      isSet =
        SSL_set1_host(ssl, host) == 1
        && host.withCString {
          SSL_ctrl(
            ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), UnsafeMutableRawPointer(mutating: $0))
        } == 1
    }
    guard isSet else { throw NetworkError(.tlsFailed, "the host cannot be checked by TLS") }
    let protocols: [UInt8] = [8] + Array("http/1.1".utf8)
    // Unlike the rest of OpenSSL, zero is success here.
    guard SSL_set_alpn_protos(ssl, protocols, UInt32(protocols.count)) == 0 else {
      throw NetworkError(.internalError, "OpenSSL has no memory")
    }
  }

  private init(context: OpaquePointer, passage: TLSPassage, isClient: Bool) throws(NetworkError) {
    guard let ssl = SSL_new(context) else { throw NetworkError(.internalError, "OpenSSL has no memory") }
    passage.attach(ssl)
    self.ssl = ssl
    self.passage = passage
    self.isClient = isClient
  }

  deinit { SSL_free(ssl) }

  /// Has bytes from the peer at hand during `body`; those that it does not use are kept.
  func feed(_ bytes: UnsafeRawBufferPointer, while body: () -> Void) {
    guard kept.isEmpty else {
      kept.append(contentsOf: bytes)
      return body()
    }
    lent = bytes
    body()
    kept.append(contentsOf: lent)
    lent = UnsafeRawBufferPointer(start: nil, count: 0)
  }

  /// Gives OpenSSL what is there; the result says how much.
  func takeInput(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    if kept.isEmpty {
      let count = min(buffer.count, lent.count)
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: lent[..<count]))
      lent = UnsafeRawBufferPointer(rebasing: lent[count...])
      return count
    }
    let rest = kept[Int(keptOffset)...]
    let count = min(buffer.count, rest.count)
    rest.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    keptOffset += UInt32(count)
    if count == rest.count { (kept, keptOffset) = ([], 0) }
    return count
  }

  /// Goes on with the handshake as far as the input allows.
  ///
  /// - Throws: `tlsFailed`; the alert for the peer is among the output.
  func handshake() throws(NetworkError) {
    guard !isEstablished else { return }
    let result = passage.serve(self) { SSL_do_handshake(ssl) }
    if result == 1 {
      isEstablished = true
      let call = onEstablished
      onEstablished = nil
      call?()
      return
    }
    switch SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
    default:
      hasFailed = true
      guard SSL_get_verify_result(ssl) == X509_V_OK else {
        throw NetworkError(.tlsFailed, "the server's certificate is not trusted, or is another host's")
      }
      throw NetworkError(.tlsFailed, "the TLS handshake failed")
    }
  }

  /// Opens what has come.
  ///
  /// - Throws: `tlsFailed` when the peer breaks the protocol or the bytes were tampered with.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(NetworkError) -> ReadResult {
    var filled = 0
    // One record at most per call to OpenSSL: fill the buffer, so that the owner is called once.
    while filled < buffer.count {
      var count = 0
      let result = passage.serve(self) { SSL_read_ex(ssl, buffer.baseAddress! + filled, buffer.count - filled, &count) }
      if result == 1 {
        filled += count
        continue
      }
      if filled > 0 { break }
      switch SSL_get_error(ssl, result) {
      case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .needsInput
      case SSL_ERROR_ZERO_RETURN: return .ended
      default:
        hasFailed = true
        throw NetworkError(.tlsFailed, "the peer's TLS records are not valid")
      }
    }
    return .bytes(filled)
  }

  /// Seals bytes; the result says how many.
  func write(_ bytes: UnsafeRawBufferPointer) throws(NetworkError) -> Int {
    guard !bytes.isEmpty else { return 0 }
    var total = 0
    while total < bytes.count {
      var count = 0
      let result = passage.serve(self) { SSL_write_ex(ssl, bytes.baseAddress! + total, bytes.count - total, &count) }
      guard result == 1 else {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return total
        default:
          hasFailed = true
          throw NetworkError(.tlsFailed, "TLS cannot send any more")
        }
      }
      total += count
    }
    return total
  }

  var hasOutput: Bool { !sealed.isEmpty }

  /// Says farewell; `false` when that was done before, or cannot be.
  func beginShutdown() -> Bool {
    guard isEstablished, !hasShutDown, !hasFailed else { return false }
    hasShutDown = true
    _ = passage.serve(self) { SSL_shutdown(ssl) }
    return hasOutput
  }
}
