import CryptoPrimitives
import RelayProtocol
import WireCodec

/// What a key package shows to everybody (RFC 9420 section 10), as far as the relay looks: so that an honest mistake is
/// found when it is published, and nobody publishes what is good for ever. That it is its owner's is for clients to
/// check, who need not trust the relay.
struct PublishedKeyPackage {
  let signatureKey: [UInt8]
  /// In seconds since 1970.
  let notBefore: UInt64
  let notAfter: UInt64

  /// How much further than the relay's a device's clock may be, in seconds.
  private static let leeway: UInt64 = 86_400

  init(_ message: [UInt8]) throws(WireError) {
    var reader = Reader(message)
    // An MLSMessage that is a key package, both of version 1; the suite is the owner's to choose.
    guard try reader.readUInt16() == 1, try reader.readUInt16() == 5, try reader.readUInt16() == 1 else {
      throw WireError(.invalidValue)
    }
    _ = try reader.readUInt16()
    // The keys that it offers, and the leaf's.
    _ = try reader.readVector()
    _ = try reader.readVector()
    signatureKey = try reader.readVector()
    guard try reader.readUInt16() == 1 else { throw WireError(.invalidValue) }
    _ = try reader.readVector()
    // Versions, suites, extensions, proposals and credentials that the device knows.
    for _ in 0..<5 { _ = try reader.readVector() }
    guard try reader.readUInt8() == 1 else { throw WireError(.invalidValue) }
    notBefore = try reader.readUInt64()
    notAfter = try reader.readUInt64()
    // The leaf's extensions and signature, and the package's.
    for _ in 0..<4 { _ = try reader.readVector() }
    guard reader.remaining == 0 else { throw WireError(.invalidValue) }
  }

  /// - Throws: `invalidRequest` for one that nobody could use, or could for too long.
  static func check(_ messages: [[UInt8]], of device: DeviceEntry, now: UInt64) throws(RelayError) {
    let seconds = now / 1000
    for message in messages where message.count <= Limits.keyPackage {
      guard let package = try? PublishedKeyPackage(message),
        ConstantTime.equal(package.signatureKey, device.signatureKey)
      else { throw RelayError(.invalidRequest, "A key package is none of this device's.") }
      guard package.notBefore < package.notAfter, package.notAfter > seconds,
        package.notBefore <= seconds + leeway, package.notAfter - package.notBefore <= Limits.keyPackageLifetime
      else { throw RelayError(.invalidRequest, "A key package's lifetime is over, not yet begun, or too long.") }
    }
  }
}
