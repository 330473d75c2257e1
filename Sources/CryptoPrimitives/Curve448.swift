import COpenSSL

/// The two uses of the 448-bit curve "Goldilocks" (RFC 7748 section 5, RFC 8032 section 5.2), on OpenSSL.
enum Curve448: Sendable {
  case x448, ed448

  /// The length of a private key, a public key and, for X448, a shared secret.
  var keySize: Int { self == .x448 ? 56 : 57 }
  static let signatureSize = 114

  fileprivate var identifier: Int32 { self == .x448 ? EVP_PKEY_X448 : EVP_PKEY_ED448 }

  /// Whether an Ed448 public key is none of the four points of small order, under which one signature serves every message.
  ///
  /// What cannot be decoded is left to verification, which refuses it.
  static func hasLargeOrder(_ publicKey: [UInt8]) -> Bool {
    guard publicKey.count == Curve448.ed448.keySize else { return false }
    // Their y coordinates are 0, 1 and -1; the last byte holds nothing but the sign of x.
    let y = publicKey.dropLast()
    let minusOne = (0..<56).map { $0 == 0 || $0 == 28 ? UInt8(0xfe) : 0xff }
    return !(y.dropFirst().allSatisfy { $0 == 0 } && y[0] <= 1) && !y.elementsEqual(minusOne)
  }

  /// Whether an X448 public key is none of the points of small order, with which every agreement fails: their u
  /// coordinates are 0, 1 and -1, and OpenSSL also takes the first two with the prime added (RFC 7748 section 5).
  static func givesSharedSecret(_ publicKey: [UInt8]) -> Bool {
    guard publicKey.count == Curve448.x448.keySize else { return false }
    if publicKey.dropFirst().allSatisfy({ $0 == 0 }) { return publicKey[0] > 1 }
    let nearPrime: (UInt8) -> [UInt8] = { first in (0..<56).map { $0 == 0 ? first : $0 == 28 ? 0xfe : 0xff } }
    // The prime is 2^448 - 2^224 - 1. One more than it ends in 28 zeros.
    return publicKey != nearPrime(0xfe) && publicKey != nearPrime(0xff)
      && publicKey != (0..<56).map { $0 < 28 ? 0 : 0xff }
  }

  static func verify(publicKey: [UInt8], message: [UInt8], signature: [UInt8]) -> Bool {
    guard signature.count == signatureSize, hasLargeOrder(publicKey),
      let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED448, nil, publicKey, publicKey.count)
    else { return false }
    defer { EVP_PKEY_free(key) }
    guard let context = EVP_MD_CTX_new() else { return false }
    defer { EVP_MD_CTX_free(context) }
    guard EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1 else { return false }
    let status = EVP_DigestVerify(context, signature, signature.count, message, message.count)
    if status != 1 { ERR_clear_error() }
    return status == 1
  }
}

/// A private key on the 448-bit curve, made ready once.
///
/// `@unchecked Sendable`: nothing changes the key after its making, and OpenSSL only reads it. Its release wipes it.
final class Curve448PrivateKey: @unchecked Sendable {
  let use: Curve448
  let publicKey: [UInt8]
  private let key: OpaquePointer

  /// - Throws: `invalidPrivateKey` if the length is wrong.
  init(_ use: Curve448, _ secret: Secret) throws(CryptoError) {
    guard secret.count == use.keySize else { throw CryptoError(.invalidPrivateKey) }
    let key = secret.withBytes { EVP_PKEY_new_raw_private_key(use.identifier, nil, $0.octets, $0.count) }
    guard let key else {
      ERR_clear_error()
      throw CryptoError(.backendFailure)
    }
    var publicKey = [UInt8](repeating: 0, count: use.keySize)
    var length = publicKey.count
    guard EVP_PKEY_get_raw_public_key(key, &publicKey, &length) == 1, length == publicKey.count else {
      EVP_PKEY_free(key)
      ERR_clear_error()
      throw CryptoError(.backendFailure)
    }
    self.use = use
    self.publicKey = publicKey
    self.key = key
  }

  deinit { EVP_PKEY_free(key) }

  /// X448.
  ///
  /// - Throws: `invalidPublicKey` if the length is wrong or the result is all zero, which a point of small order gives.
  func agree(_ publicKey: [UInt8]) throws(CryptoError) -> Secret {
    guard use == .x448 else { throw CryptoError(.invalidPrivateKey) }
    guard publicKey.count == use.keySize else { throw CryptoError(.invalidPublicKey) }
    let shared = try Secret(count: use.keySize) { output throws(CryptoError) in
      guard let peer = EVP_PKEY_new_raw_public_key(use.identifier, nil, publicKey, publicKey.count) else {
        throw CryptoError(.outOfMemory)
      }
      defer { EVP_PKEY_free(peer) }
      guard let context = EVP_PKEY_CTX_new(key, nil) else { throw CryptoError(.outOfMemory) }
      defer { EVP_PKEY_CTX_free(context) }
      guard EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1 else {
        ERR_clear_error()
        throw CryptoError(.backendFailure)
      }
      var length = output.count
      // OpenSSL fails where the result is all zero.
      guard EVP_PKEY_derive(context, output.octets, &length) == 1, length == output.count else {
        ERR_clear_error()
        throw CryptoError(.invalidPublicKey)
      }
    }
    guard shared != .zeros(count: use.keySize) else { throw CryptoError(.invalidPublicKey) }
    return shared
  }

  /// Ed448 with an empty context.
  func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
    guard let context = EVP_MD_CTX_new() else { throw CryptoError(.outOfMemory) }
    defer { EVP_MD_CTX_free(context) }
    var signature = [UInt8](repeating: 0, count: Curve448.signatureSize)
    var length = signature.count
    guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
      EVP_DigestSign(context, &signature, &length, message, message.count) == 1, length == signature.count
    else {
      ERR_clear_error()
      throw CryptoError(.backendFailure)
    }
    return signature
  }
}
