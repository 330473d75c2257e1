import COpenSSL

/// One TLS connection without a socket: sealed bytes in and out on one side, plain bytes on the other.
///
/// At most what one read of the socket brought waits inside, because all of it is opened before the socket is read again.
final class TLSEngine {
  enum ReadResult {
    case bytes(Int)
    case needsInput
    case ended
  }

  private let ssl: OpaquePointer
  // Owned by `ssl`.
  private let input: OpaquePointer
  private let output: OpaquePointer
  let isClient: Bool
  private(set) var isEstablished = false
  private var hasShutDown = false
  private var hasFailed = false
  /// Called once, within ``handshake()``.
  var onEstablished: (() -> Void)?

  convenience init(server: TLSServerContext) throws(NetworkError) {
    try self.init(context: server.context, isClient: false)
    SSL_set_accept_state(ssl)
  }

  convenience init(client: TLSClientContext, host: String) throws(NetworkError) {
    try self.init(context: client.context, isClient: true)
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

  private init(context: OpaquePointer, isClient: Bool) throws(NetworkError) {
    guard let ssl = SSL_new(context) else { throw NetworkError(.internalError, "OpenSSL has no memory") }
    guard let input = BIO_new(BIO_s_mem()) else {
      SSL_free(ssl)
      throw NetworkError(.internalError, "OpenSSL has no memory")
    }
    guard let output = BIO_new(BIO_s_mem()) else {
      BIO_free(input)
      SSL_free(ssl)
      throw NetworkError(.internalError, "OpenSSL has no memory")
    }
    SSL_set_bio(ssl, input, output)
    self.ssl = ssl
    self.input = input
    self.output = output
    self.isClient = isClient
  }

  deinit { SSL_free(ssl) }

  /// Takes bytes from the peer.
  func feed(_ bytes: UnsafeRawBufferPointer) {
    // A memory BIO takes everything, or the process is out of memory; then the peer's next record will not verify.
    BIO_write(input, bytes.baseAddress, Int32(bytes.count))
  }

  /// Goes on with the handshake as far as the input allows.
  ///
  /// - Throws: `tlsFailed`; the alert for the peer is among the output.
  func handshake() throws(NetworkError) {
    guard !isEstablished else { return }
    ERR_clear_error()
    let result = SSL_do_handshake(ssl)
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
    ERR_clear_error()
    var filled = 0
    // One record at most per call to OpenSSL: fill the buffer, so that the owner is called once.
    while filled < buffer.count {
      var count = 0
      let result = SSL_read_ex(ssl, buffer.baseAddress! + filled, buffer.count - filled, &count)
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
    ERR_clear_error()
    var total = 0
    while total < bytes.count {
      var count = 0
      let result = SSL_write_ex(ssl, bytes.baseAddress! + total, bytes.count - total, &count)
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

  /// How many sealed bytes wait to go to the peer.
  var outputCount: Int { BIO_ctrl_pending(output) }
  var hasOutput: Bool { outputCount > 0 }

  func takeOutput(into bytes: inout [UInt8]) {
    let count = outputCount
    guard count > 0 else { return }
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: count))
    bytes.withUnsafeMutableBytes { _ = BIO_read(output, $0.baseAddress! + start, Int32(count)) }
  }

  /// Says farewell; `false` when that was done before, or cannot be.
  func beginShutdown() -> Bool {
    guard isEstablished, !hasShutDown, !hasFailed else { return false }
    hasShutDown = true
    ERR_clear_error()
    SSL_shutdown(ssl)
    return hasOutput
  }
}
