import CryptoPrimitives

/// The numbers that are reserved in every registry, so that nobody comes to rely on there being no unknown ones
/// (RFC 9420 section 13.5). Received ones are treated as any other number that one does not know.
public enum GREASE {
  /// 0x0A0A, 0x1A1A and so on to 0xEAEA.
  public static let values: [UInt16] = (0..<15).map { $0 * 0x1010 + 0x0A0A }

  /// One of the values, by chance.
  static func random() -> UInt16 { values[Int(Random.bytes(1)[0]) % values.count] }
}

extension Capabilities {
  /// The same with a reserved number, by chance, in each list but that of the versions.
  public func withGREASE() -> Capabilities {
    var greased = self
    greased.cipherSuites.append(GREASE.random())
    greased.extensions.append(GREASE.random())
    greased.proposals.append(GREASE.random())
    greased.credentials.append(GREASE.random())
    return greased
  }
}

extension Extension {
  /// An extension that nobody knows, with some random bytes: for a key package, a leaf or a group info.
  public static func grease() -> Extension {
    Extension(type: GREASE.random(), data: Random.bytes(Int(Random.bytes(1)[0]) % 32))
  }
}
