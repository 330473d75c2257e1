import RelayProtocol

/// Where the newest sends stand in the table `sent`: what a UNIQUE index would say, without a page to write for each.
///
/// It is a hint. A row may have been undone or forgotten, and two sends may share a fingerprint: the row says what is true.
struct RecentSends {
  /// So many are remembered at most, and half of that at least: 32 bytes of memory each.
  static let remembered: Int64 = 1 << 20

  private let half: Int
  // The older half goes as a whole when the younger is full.
  private var older: [UInt64: Int64] = [:]
  private var younger: [UInt64: Int64] = [:]

  init(remembered: Int64 = Self.remembered) { half = Int(remembered) / 2 }

  func key(of id: SendID, by device: Int64) -> Int64? {
    let fingerprint = Self.fingerprint(id, device)
    return younger[fingerprint] ?? older[fingerprint]
  }

  mutating func insert(_ id: SendID, of device: Int64, key: Int64) {
    if younger.count >= half { (older, younger) = (younger, [:]) }
    younger[Self.fingerprint(id, device)] = key
  }

  /// Ids are random; a sender that makes two of its own alike loses the first of them.
  private static func fingerprint(_ id: SendID, _ device: Int64) -> UInt64 {
    id.low ^ (id.high &* 0x9E37_79B9_7F4A_7C15) ^ (UInt64(bitPattern: device) &* 0xC2B2_AE3D_27D4_EB4F)
  }
}
