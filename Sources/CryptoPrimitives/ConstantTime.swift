import CSodium

/// Comparison whose duration does not tell where two values differ.
public enum ConstantTime {
  /// Whether both hold the same bytes.
  ///
  /// Lengths are taken to be public: different ones return early.
  public static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.withUnsafeBytes { left in right.withUnsafeBytes { right in equal(left, right) } }
  }

  /// Whether both hold the same bytes.
  ///
  /// Lengths are taken to be public: different ones return early.
  public static func equal(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard let leftBase = left.baseAddress, let rightBase = right.baseAddress, left.count > 0 else { return true }
    return sodium_memcmp(leftBase, rightBase, left.count) == 0
  }
}
