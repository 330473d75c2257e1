import COpenSSL

/// A curve of prime order (FIPS 186-5, SEC 2), on OpenSSL: for ECDH and ECDSA.
enum NISTCurve: Hashable, Sendable {
  case p256, p384, p521

  /// The length of a coordinate, and of a scalar.
  var scalarSize: Int {
    switch self {
    case .p256: 32
    case .p384: 48
    case .p521: 66
    }
  }

  /// The length of an uncompressed point (SEC 1 section 2.3.3).
  var pointSize: Int { 1 + 2 * scalarSize }

  /// What a random scalar's first byte keeps, so that few draws exceed the order (RFC 9180 section 7.1.3).
  var firstByteMask: UInt8 { self == .p521 ? 0x01 : 0xff }

  /// The longest DER encoding of an ECDSA signature: two positive integers, each with room for a sign bit, in a sequence.
  var maximumSignatureSize: Int {
    switch self {
    case .p256: 72
    case .p384: 104
    case .p521: 139
    }
  }

  private static let groups = (
    p256: NISTGroup(NID_X9_62_prime256v1), p384: NISTGroup(NID_secp384r1), p521: NISTGroup(NID_secp521r1)
  )

  func group() throws(CryptoError) -> OpaquePointer {
    let pointer =
      switch self {
      case .p256: Self.groups.p256.pointer
      case .p384: Self.groups.p384.pointer
      case .p521: Self.groups.p521.pointer
      }
    guard let pointer else { throw CryptoError(.backendFailure) }
    return pointer
  }

  func isPoint(_ bytes: [UInt8]) -> Bool { (try? NISTPoint(self, bytes)) != nil }

  /// Whether `signature` is the strict DER encoding of a valid ECDSA signature of `digest`.
  func verify(publicKey: [UInt8], digest: [UInt8], signature: [UInt8]) -> Bool {
    guard signature.count <= maximumSignatureSize, let point = try? NISTPoint(self, publicKey),
      let group = try? group(), let key = EC_KEY_new()
    else { return false }
    defer { EC_KEY_free(key) }
    guard EC_KEY_set_group(key, group) == 1, EC_KEY_set_public_key(key, point.pointer) == 1 else { return false }
    let status = ECDSA_verify(0, digest, Int32(digest.count), signature, Int32(signature.count), key)
    if status != 1 { ERR_clear_error() }
    return status == 1
  }
}

/// The parameters of a curve, computed once.
///
/// `@unchecked Sendable`: OpenSSL only reads a group that is complete.
private struct NISTGroup: @unchecked Sendable {
  let pointer: OpaquePointer?

  init(_ identifier: Int32) { pointer = EC_GROUP_new_by_curve_name(identifier) }
}

/// A point that is known to lie on its curve, which has no other points than those of the full order and infinity.
struct NISTPoint: ~Copyable {
  let pointer: OpaquePointer

  /// Reads an uncompressed point.
  ///
  /// - Throws: `invalidPublicKey` for any other form or length, for infinity, and for what is not on the curve.
  init(_ curve: NISTCurve, _ bytes: [UInt8]) throws(CryptoError) {
    guard bytes.count == curve.pointSize, bytes.first == 0x04 else { throw CryptoError(.invalidPublicKey) }
    let group = try curve.group()
    guard let pointer = EC_POINT_new(group) else { throw CryptoError(.outOfMemory) }
    // Checks that both coordinates are below the prime and satisfy the curve's equation.
    guard EC_POINT_oct2point(group, pointer, bytes, bytes.count, nil) == 1 else {
      EC_POINT_free(pointer)
      // What OpenSSL remembers of a failure would be taken for a failure of the next TLS call on this thread.
      ERR_clear_error()
      throw CryptoError(.invalidPublicKey)
    }
    self.pointer = pointer
  }

  deinit { EC_POINT_free(pointer) }
}

/// A private key on a NIST curve, made ready once: importing it again for each use would double the cost.
///
/// `@unchecked Sendable`: nothing changes the key after its making, and OpenSSL only reads it. Its release wipes it.
final class NISTPrivateKey: @unchecked Sendable {
  let curve: NISTCurve
  let publicKey: [UInt8]
  private let key: OpaquePointer

  /// - Throws: `invalidPrivateKey` unless `scalar` is from 1 to the order less one.
  init(_ curve: NISTCurve, scalar: Secret) throws(CryptoError) {
    let group = try curve.group()
    guard let key = EC_KEY_new() else { throw CryptoError(.outOfMemory) }
    do throws(CryptoError) {
      publicKey = try Self.prepare(key, curve, group, scalar)
    } catch {
      EC_KEY_free(key)
      ERR_clear_error()
      throw error
    }
    self.curve = curve
    self.key = key
  }

  /// Gives `key` its scalar and its point, which is returned.
  private static func prepare(
    _ key: OpaquePointer, _ curve: NISTCurve, _ group: OpaquePointer, _ scalar: Secret
  ) throws(CryptoError) -> [UInt8] {
    guard scalar.count == curve.scalarSize else { throw CryptoError(.invalidPrivateKey) }
    let number = scalar.withBytes { BN_bin2bn($0.octets, Int32($0.count), nil) }
    guard let number else { throw CryptoError(.outOfMemory) }
    defer { BN_clear_free(number) }
    guard BN_is_zero(number) == 0, BN_cmp(number, EC_GROUP_get0_order(group)) < 0 else {
      throw CryptoError(.invalidPrivateKey)
    }
    guard let point = EC_POINT_new(group) else { throw CryptoError(.outOfMemory) }
    defer { EC_POINT_free(point) }
    // The key's own copy of the number is the one that OpenSSL marks for computation in constant time.
    guard EC_KEY_set_group(key, group) == 1, EC_KEY_set_private_key(key, number) == 1,
      EC_POINT_mul(group, point, EC_KEY_get0_private_key(key), nil, nil, nil) == 1,
      EC_KEY_set_public_key(key, point) == 1
    else { throw CryptoError(.backendFailure) }
    var bytes = [UInt8](repeating: 0, count: curve.pointSize)
    guard EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, &bytes, bytes.count, nil) == bytes.count
    else { throw CryptoError(.backendFailure) }
    return bytes
  }

  deinit { EC_KEY_free(key) }

  static func randomScalar(_ curve: NISTCurve) -> Secret {
    Secret(count: curve.scalarSize) { bytes in
      Random.fill(bytes)
      bytes[0] &= curve.firstByteMask
    }
  }

  /// ECDH: the x coordinate of the common point (RFC 9180 section 7.1.1).
  ///
  /// - Throws: `invalidPublicKey` if the point is not one of the curve.
  func agree(_ publicKey: [UInt8]) throws(CryptoError) -> Secret {
    let point = try NISTPoint(curve, publicKey)
    return try Secret(count: curve.scalarSize) { output throws(CryptoError) in
      guard ECDH_compute_key(output.baseAddress, output.count, point.pointer, key, nil) == Int32(output.count) else {
        ERR_clear_error()
        throw CryptoError(.backendFailure)
      }
    }
  }

  /// An ECDSA signature in DER (RFC 8446 section 4.2.3).
  func sign(digest: [UInt8]) throws(CryptoError) -> [UInt8] {
    var signature = [UInt8](repeating: 0, count: curve.maximumSignatureSize)
    var length = UInt32(signature.count)
    guard ECDSA_sign(0, digest, Int32(digest.count), &signature, &length, key) == 1, length <= signature.count else {
      ERR_clear_error()
      throw CryptoError(.backendFailure)
    }
    signature.removeLast(signature.count - Int(length))
    return signature
  }
}
