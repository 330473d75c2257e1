/// A server's certificate and key, ready to accept TLS 1.2 and 1.3 connections.
package final class TLSServerContext: @unchecked Sendable {
  /// Reads a PEM certificate chain and its PEM key.
  ///
  /// - Throws: `tlsFailed` when a file cannot be read or the key is not the certificate's.
  package init(certificateFile: String, keyFile: String) throws(NetworkError) {
    throw NetworkError(.internalError, "not built yet")
  }
}

/// Whom a client trusts.
///
/// The host name is always checked.
package final class TLSClientContext: @unchecked Sendable {
  /// Trusts the system's roots, or only those in the given PEM file.
  package init(trustedCertificates file: String? = nil) throws(NetworkError) {
    throw NetworkError(.internalError, "not built yet")
  }
}
