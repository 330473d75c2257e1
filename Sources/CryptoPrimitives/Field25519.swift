/// A number modulo 2^255 - 19, in five limbs of 51 bits.
///
/// Only public keys pass through here. No step depends on a value all the same.
struct Field25519 {
  private var limbs: (UInt64, UInt64, UInt64, UInt64, UInt64)
  private static let mask: UInt64 = (1 << 51) - 1

  private init(_ limbs: (UInt64, UInt64, UInt64, UInt64, UInt64)) { self.limbs = limbs }

  /// The number in the lower 255 bits of 32 bytes, little-endian.
  init(_ bytes: UnsafeRawBufferPointer) {
    let words = (0..<4).map { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self)) }
    let mask = Self.mask
    limbs = (
      words[0] & mask, (words[0] >> 51 | words[1] << 13) & mask, (words[1] >> 38 | words[2] << 26) & mask,
      (words[2] >> 25 | words[3] << 39) & mask, words[3] >> 12 & mask
    )
  }

  /// The X25519 public key of the point of Ed25519 whose encoding is given: u = (1 + y) / (1 - y) (RFC 7748 section 4.1).
  static func montgomery(fromEdwards encoded: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) {
    let y = Field25519(encoded)
    var above = y
    above.limbs.0 += 1
    // Twice the prime is added, so that no limb falls below zero.
    let below = Field25519(
      (
        0xF_FFFF_FFFF_FFDA + 1 - y.limbs.0, 0xF_FFFF_FFFF_FFFE - y.limbs.1, 0xF_FFFF_FFFF_FFFE - y.limbs.2,
        0xF_FFFF_FFFF_FFFE - y.limbs.3, 0xF_FFFF_FFFF_FFFE - y.limbs.4
      ))
    (above * below.inverse).write(into: output)
  }

  @inline(__always)
  static func * (left: Field25519, right: Field25519) -> Field25519 {
    let (a0, a1, a2, a3, a4) = left.limbs
    let (b0, b1, b2, b3, b4) = right.limbs
    // 2^255 is 19: what a product has beyond the fifth limb comes back nineteenfold.
    let (c1, c2, c3, c4) = (b1 &* 19, b2 &* 19, b3 &* 19, b4 &* 19)
    @inline(__always) func product(_ a: UInt64, _ b: UInt64) -> UInt128 { UInt128(a) &* UInt128(b) }
    let r0 = product(a0, b0) &+ product(a1, c4) &+ product(a2, c3) &+ product(a3, c2) &+ product(a4, c1)
    var r1 = product(a0, b1) &+ product(a1, b0) &+ product(a2, c4) &+ product(a3, c3) &+ product(a4, c2)
    var r2 = product(a0, b2) &+ product(a1, b1) &+ product(a2, b0) &+ product(a3, c4) &+ product(a4, c3)
    var r3 = product(a0, b3) &+ product(a1, b2) &+ product(a2, b1) &+ product(a3, b0) &+ product(a4, c4)
    var r4 = product(a0, b4) &+ product(a1, b3) &+ product(a2, b2) &+ product(a3, b1) &+ product(a4, b0)
    let mask = Self.mask
    r1 &+= r0 >> 51
    r2 &+= r1 >> 51
    r3 &+= r2 >> 51
    r4 &+= r3 >> 51
    let first = UInt64(truncatingIfNeeded: r0) & mask &+ UInt64(truncatingIfNeeded: r4 >> 51) &* 19
    return Field25519(
      (
        first & mask, UInt64(truncatingIfNeeded: r1) & mask &+ first >> 51, UInt64(truncatingIfNeeded: r2) & mask,
        UInt64(truncatingIfNeeded: r3) & mask, UInt64(truncatingIfNeeded: r4) & mask
      ))
  }

  @inline(__always)
  private func squared(times: Int) -> Field25519 {
    var result = self
    for _ in 0..<times { result = result * result }
    return result
  }

  /// The power to 2^255 - 21, which is the inverse by Fermat; of 0 it is 0.
  ///
  /// Named after the exponents: `ones(n)` below is the power to 2^n - 1.
  private var inverse: Field25519 {
    let power2 = squared(times: 1)
    let power9 = power2.squared(times: 2) * self
    let power11 = power9 * power2
    let ones5 = power11.squared(times: 1) * power9
    let ones10 = ones5.squared(times: 5) * ones5
    let ones20 = ones10.squared(times: 10) * ones10
    let ones40 = ones20.squared(times: 20) * ones20
    let ones50 = ones40.squared(times: 10) * ones10
    let ones100 = ones50.squared(times: 50) * ones50
    let ones200 = ones100.squared(times: 100) * ones100
    let ones250 = ones200.squared(times: 50) * ones50
    return ones250.squared(times: 5) * power11
  }

  /// Writes 32 bytes, little-endian, of the number below the prime.
  private func write(into output: UnsafeMutableRawBufferPointer) {
    let mask = Self.mask
    var (l0, l1, l2, l3, l4) = limbs
    func carry() {
      l1 &+= l0 >> 51
      l2 &+= l1 >> 51
      l3 &+= l2 >> 51
      l4 &+= l3 >> 51
      let over = l4 >> 51
      (l0, l1, l2, l3, l4) = (l0 & mask &+ over &* 19, l1 & mask, l2 & mask, l3 & mask, l4 & mask)
    }
    carry()
    carry()
    // One if the number is not below the prime: then adding 19 carries out of the top.
    var over = (l0 &+ 19) >> 51
    over = (l1 &+ over) >> 51
    over = (l2 &+ over) >> 51
    over = (l3 &+ over) >> 51
    over = (l4 &+ over) >> 51
    l0 &+= 19 &* over
    l1 &+= l0 >> 51
    l2 &+= l1 >> 51
    l3 &+= l2 >> 51
    l4 &+= l3 >> 51
    (l0, l1, l2, l3, l4) = (l0 & mask, l1 & mask, l2 & mask, l3 & mask, l4 & mask)
    let words = (l0 | l1 << 51, l1 >> 13 | l2 << 38, l2 >> 26 | l3 << 25, l3 >> 39 | l4 << 12)
    output.storeBytes(of: words.0.littleEndian, toByteOffset: 0, as: UInt64.self)
    output.storeBytes(of: words.1.littleEndian, toByteOffset: 8, as: UInt64.self)
    output.storeBytes(of: words.2.littleEndian, toByteOffset: 16, as: UInt64.self)
    output.storeBytes(of: words.3.littleEndian, toByteOffset: 24, as: UInt64.self)
  }
}
