import COpenSSL

/// A cipher context of OpenSSL, freed (which also wipes it) when its owner goes.
struct OpenSSLHandle: ~Copyable {
  let pointer: OpaquePointer

  init() throws(CryptoError) {
    guard let pointer = EVP_CIPHER_CTX_new() else { throw CryptoError(.outOfMemory) }
    self.pointer = pointer
  }

  deinit { EVP_CIPHER_CTX_free(pointer) }
}

/// An algorithm looked up once: a look-up per message would cost more than sealing a short one.
///
/// `@unchecked Sendable`: OpenSSL never changes what it has fetched.
struct FetchedCipher: @unchecked Sendable {
  let pointer: OpaquePointer?

  init(_ name: String) { pointer = EVP_CIPHER_fetch(nil, name, nil) }
}
