/// A set of public keys whose copies share all shards but those that are written to: a commit changes a few keys of many,
/// and its copy of the tree should cost accordingly.
struct KeySet: Sendable {
  private static let fewest = 16
  private static let perShard = 64

  /// A power of two of them. Swift's hashing is seeded anew in each process, so no member can crowd one shard.
  private var shards: [Set<[UInt8]>]
  private(set) var count = 0

  init() { shards = Array(repeating: [], count: Self.fewest) }

  private func shard(of key: [UInt8]) -> Int {
    // The sets use the lower bits of the same hash.
    Int(truncatingIfNeeded: UInt(bitPattern: key.hashValue) >> 40) & (shards.count - 1)
  }

  func contains(_ key: [UInt8]) -> Bool { shards[shard(of: key)].contains(key) }

  /// Enters a key; false if it is there already.
  mutating func insert(_ key: [UInt8]) -> Bool {
    guard shards[shard(of: key)].insert(key).inserted else { return false }
    count += 1
    if count > shards.count * Self.perShard { spread() }
    return true
  }

  mutating func remove(_ key: [UInt8]) {
    if shards[shard(of: key)].remove(key) != nil { count -= 1 }
  }

  /// Makes room by four times as many shards, so that all entries move but rarely.
  private mutating func spread() {
    let old = shards
    shards = Array(repeating: [], count: old.count * 4)
    for key in old.joined() { shards[shard(of: key)].insert(key) }
  }
}
