/// Padmé: lengths grow to one of few sizes, which leaks O(log log n) bits of them and costs at most an eighth.
///
/// Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", section 4.
public enum Padding {
  /// No padded message is shorter than this, so that a reaction looks like a line of text.
  public static let least = 256

  /// The padded length for content of `count` bytes.
  public static func length(for count: Int) -> Int {
    guard count > least else { return least }
    let exponent = Int.bitWidth - 1 - count.leadingZeroBitCount
    let significant = Int.bitWidth - exponent.leadingZeroBitCount
    let mask = (1 << (exponent - significant)) - 1
    let (sum, overflow) = count.addingReportingOverflow(mask)
    return overflow ? count : sum & ~mask
  }
}
