import CryptoPrimitives
import RelayProtocol
import WireCodec

/// The signed device lists that a commit shows for leaves which it takes out: the account's own word that a device is not
/// its own any more.
///
/// With it every member may take the leaf out, whatever its role, as long as the account stays by another device. It
/// stands in the commit's authenticated data, so that all judge by the same list and none by what it happens to know.
/// The relay can read it there, and has it anyhow.
struct Revocations: Hashable, WireCodable {
  static let maxLists = 16
  private static let format: UInt16 = 1

  let lists: [SignedDeviceList]

  init(_ lists: [SignedDeviceList]) { self.lists = lists }

  init(from reader: inout Reader) throws(WireError) {
    guard try reader.readUInt16() == Self.format else { throw WireError(.invalidValue) }
    lists = try reader.readList(max: Self.maxLists * Limits.deviceList)
    guard !lists.isEmpty, lists.count <= Self.maxLists, Set(lists.map(\.list.user)).count == lists.count else {
      throw WireError(.invalidValue)
    }
  }

  func encode(into writer: inout Writer) {
    writer.write(Self.format)
    writer.writeList(lists)
  }

  /// Whether one of the lists says that the leaf's device is revoked.
  func revoke(_ leaf: CommitClaim.Leaf) -> Bool {
    lists.contains { $0.list.user == leaf.user && $0.revokes(leaf) }
  }
}

extension SignedDeviceList {
  /// Whether this list says that a device is none of the account's any more: signed by the account key that vouched for the
  /// leaf, issued after the device was added, and without it.
  func revokes(_ leaf: CommitClaim.Leaf) -> Bool {
    list.user == leaf.user && list.accountKey == leaf.accountKey && list.issued > leaf.added
      && !list.devices.contains { $0.device == leaf.device && $0.signatureKey == leaf.signatureKey } && isValid
  }
}

extension Pin {
  /// Whether the leaf's device was the account's once and is not any more. A room may hold it when this device comes in: its
  /// removal comes later in the log, or is made before anything is said.
  func hasRevoked(_ leaf: CommitClaim.Leaf) -> Bool { candidate == nil && list.revokes(leaf) }
}

/// When it is one client's turn to make a commit that any member could make: one after the other, so that there is no
/// storm of commits of which all but one are in vain.
enum Turn {
  /// - Parameters:
  ///   - rank: how many would be before this device, if they are there.
  ///   - random: from 0 up to 1.
  static func delay(rank: Int, random: Double) -> Duration {
    if rank == 0 { return .milliseconds(50 + Int(100 * random)) }
    let ordered = min(rank - 1, 60)
    // Far behind there are no places any more, only chances.
    let spread = rank > 60 ? 15_000.0 : 250
    return .milliseconds(1000 + 250 * ordered + Int(spread * random))
  }
}
