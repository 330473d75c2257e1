/// The variable-size lengths of RFC 9420 section 2.1.2: one, two or four bytes, the first two bits telling which.
public enum VarInt {
  /// The longest vector that a length can describe.
  public static let max = (1 << 30) - 1

  /// How many bytes the length prefix of a vector of `count` bytes takes.
  @inlinable
  public static func size(of count: Int) -> Int {
    count < 1 << 6 ? 1 : count < 1 << 14 ? 2 : 4
  }
}
