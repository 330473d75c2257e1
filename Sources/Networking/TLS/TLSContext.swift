import COpenSSL
import Synchronization

// OpenSSL's function-like macros, which Swift does not import.
private enum Option {
  static let noRenegotiation: UInt64 = 1 << 30
  static let noCompression: UInt64 = 1 << 17
  static let prioritizeChaCha: UInt64 = 1 << 21
  static let serverPreference: UInt64 = 1 << 22
}

private func makeContext(_ method: OpaquePointer?) throws(NetworkError) -> OpaquePointer {
  guard let context = SSL_CTX_new(method) else {
    throw NetworkError(.internalError, "OpenSSL has no memory for a context")
  }
  SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
  SSL_CTX_set_options(context, Option.noRenegotiation | Option.noCompression)
  // In 1.2 only what 1.3 would allow as well: a key stolen later opens nothing that was recorded before.
  guard SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 else {
    SSL_CTX_free(context)
    throw NetworkError(.tlsFailed, "OpenSSL has none of the ciphers that TLS 1.2 needs here")
  }
  // An idle connection then holds no record buffers.
  SSL_CTX_ctrl(context, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE), nil)
  return context
}

/// A server's certificate and key, ready to accept TLS 1.2 and 1.3 connections.
///
/// They can be replaced while the server runs: see ``reload()``.
package final class TLSServerContext: Sendable {
  /// One certificate with its key; every connection keeps the one that it began with.
  final class Loaded: @unchecked Sendable {
    // OpenSSL counts references to it atomically, and nobody changes it once it is made.
    let context: OpaquePointer

    init(certificateFile: String, keyFile: String) throws(NetworkError) {
      context = try makeContext(TLS_server_method())
      ERR_clear_error()
      guard SSL_CTX_use_certificate_chain_file(context, certificateFile) == 1 else {
        throw NetworkError(.tlsFailed, "the certificate file cannot be read as a PEM chain")
      }
      guard SSL_CTX_use_PrivateKey_file(context, keyFile, SSL_FILETYPE_PEM) == 1 else {
        throw NetworkError(.tlsFailed, "the key file cannot be read as PEM, or is not the certificate's key")
      }
      guard SSL_CTX_check_private_key(context) == 1 else {
        throw NetworkError(.tlsFailed, "the key is not the certificate's key")
      }
      // The shorter key first: what it protects is sealed already, each record costs less, and a connection holds SHA-256's
      // state instead of SHA-512's. Who puts ChaCha20 first has no AES in hardware, and gets it.
      SSL_CTX_set_options(context, Option.serverPreference | Option.prioritizeChaCha)
      let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
      guard SSL_CTX_set_ciphersuites(context, suites) == 1 else {
        throw NetworkError(.tlsFailed, "OpenSSL has none of the ciphers that TLS 1.3 needs here")
      }
      // Only what we speak: a client that offers other protocols alone is refused (RFC 7301, section 3.2).
      SSL_CTX_set_alpn_select_cb(
        context,
        { _, selected, selectedLength, offered, offeredLength, _ in
          var rest = UnsafeBufferPointer(start: offered, count: Int(offeredLength))[...]
          while let length = rest.first, rest.count > Int(length) {
            let name = rest.dropFirst().prefix(Int(length))
            if name.elementsEqual("http/1.1".utf8) {
              selected!.pointee = offered! + name.startIndex
              selectedLength!.pointee = length
              return SSL_TLSEXT_ERR_OK
            }
            rest = rest.dropFirst(Int(length) + 1)
          }
          return SSL_TLSEXT_ERR_ALERT_FATAL
        }, nil)
    }

    deinit { SSL_CTX_free(context) }
  }

  private let certificateFile: String
  private let keyFile: String
  private let loaded: Mutex<Loaded>

  /// Reads a PEM certificate chain and its PEM key.
  ///
  /// - Throws: `tlsFailed` when a file cannot be read or the key is not the certificate's.
  package init(certificateFile: String, keyFile: String) throws(NetworkError) {
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    loaded = Mutex(try Loaded(certificateFile: certificateFile, keyFile: keyFile))
  }

  /// Reads both files again: connections that begin from now on see what they hold now, open ones go on as they are.
  ///
  /// Reads from the disk, so not to be called on a loop.
  /// - Throws: as ``init(certificateFile:keyFile:)``, and then what was in force stays.
  package func reload() throws(NetworkError) {
    let fresh = try Loaded(certificateFile: certificateFile, keyFile: keyFile)
    loaded.withLock { $0 = fresh }
  }

  var current: Loaded { loaded.withLock { $0 } }
}

/// Whom a client trusts.
///
/// The host name is always checked.
package final class TLSClientContext: @unchecked Sendable {
  // As in TLSServerContext.Loaded.
  let context: OpaquePointer

  /// Trusts the system's roots; read on first use, because it takes some milliseconds.
  static let system = Result { () throws(NetworkError) in try TLSClientContext() }

  /// Trusts the system's roots, or only those in the given PEM file.
  package init(trustedCertificates file: String? = nil) throws(NetworkError) {
    let context = try makeContext(TLS_client_method())
    self.context = context
    ERR_clear_error()
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
    if let file {
      guard SSL_CTX_load_verify_locations(context, file, nil) == 1 else {
        throw NetworkError(.tlsFailed, "the file of trusted certificates cannot be read as PEM")
      }
    } else {
      guard SSL_CTX_set_default_verify_paths(context) == 1 else {
        throw NetworkError(.tlsFailed, "the system has no list of trusted certificates")
      }
    }
  }

  deinit { SSL_CTX_free(context) }
}
