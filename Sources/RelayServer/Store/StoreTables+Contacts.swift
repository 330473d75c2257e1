import RelayProtocol
import Storage

/// Contacts are kept once for each side, so that what one does to its side need not show on the other's.
extension StoreTables {
  /// People whom one account has asked, or who asked it, at a time.
  static var contactsPerAccount: Int { 10_000 }

  func change(_ change: ContactChange, of user: UserID, with other: UserID, now: UInt64) throws -> [DeviceID] {
    guard user != other else { throw RelayError(.invalidRequest, "Nobody is their own contact.") }
    let (owner, other) = (try account(user), try account(other))
    // In one order for both sides, so that two who ask each other at once do not wait for each other for ever.
    try database.forEach(
      "SELECT key FROM account WHERE key IN (\(owner), \(other)) ORDER BY key \(lock: "account")"
    ) { _ in true }
    let (mine, theirs) = (try state(owner, other), try state(other, owner))
    switch change {
    case .request: try request(owner, other, mine, theirs, now)
    case .accept:
      try require(mine == .received, "There is no such request.")
      try set(owner, other, .accepted, now)
      try set(other, owner, .accepted, now)
    case .decline:
      try require(mine == .received, "There is no such request.")
      // The other side goes on to wait: nobody is told that they were declined.
      try set(owner, other, .declined, now)
      return try devices(of: [owner])
    case .remove:
      try require(mine == .accepted || mine == .requested, "This is no contact.")
      try remove(owner, other)
      if theirs == .accepted || theirs == .received { try remove(other, owner) }
    case .block:
      try set(owner, other, .blocked, now)
      // As if the account were gone. What the other has asked it goes on to wait for.
      if theirs == .accepted || theirs == .received { try remove(other, owner) }
      return try devices(of: theirs == .accepted || theirs == .received ? [owner, other] : [owner])
    case .unblock:
      try require(mine == .blocked, "This user is not blocked.")
      try remove(owner, other)
      return try devices(of: [owner])
    }
    return try devices(of: [owner, other])
  }

  private func request(
    _ owner: Int64, _ other: Int64, _ mine: ContactState?, _ theirs: ContactState?, _ now: UInt64
  ) throws {
    guard mine != .blocked else { throw RelayError(.forbidden, "This user is blocked: unblock first.") }
    guard try database.mayReach(account: other, from: owner) else {
      throw RelayError(.userNotFound, "There is no such user.")
    }
    if mine == .accepted { return }
    if theirs == .requested {
      try set(owner, other, .accepted, now)
      return try set(other, owner, .accepted, now)
    }
    let count = try database.first("SELECT count(*) FROM contact WHERE owner = \(owner)") { try $0.count(0) }
    let theirCount = try database.first("SELECT count(*) FROM contact WHERE owner = \(other)") { try $0.count(0) }
    guard max(count ?? 0, theirCount ?? 0) < Self.contactsPerAccount else {
      throw RelayError(.tooLarge, "There are too many contacts.")
    }
    try set(owner, other, .requested, now)
    // Who declined is not asked again.
    if theirs == nil { try set(other, owner, .received, now) }
  }

  private func require(_ isSo: Bool, _ title: StaticString) throws(RelayError) {
    guard isSo else { throw RelayError(.notFound, title) }
  }

  private func state(_ owner: Int64, _ other: Int64) throws -> ContactState? {
    try database.first("SELECT state FROM contact WHERE owner = \(owner) AND other = \(other)") {
      try ContactState(row: $0, 0)
    }
  }

  private func set(_ owner: Int64, _ other: Int64, _ state: ContactState, _ now: UInt64) throws {
    try database.execute(
      """
      INSERT INTO contact (owner, other, state, changed) VALUES (\(owner), \(other), \(state.rawValue), \(now))
      ON CONFLICT (owner, other) DO UPDATE SET state = excluded.state, changed = excluded.changed
      """)
  }

  private func remove(_ owner: Int64, _ other: Int64) throws {
    try database.execute("DELETE FROM contact WHERE owner = \(owner) AND other = \(other)")
  }

  private func devices(of accounts: [Int64]) throws -> [DeviceID] {
    var devices: [DeviceID] = []
    for account in accounts {
      devices += try database.query("SELECT id FROM device WHERE account = \(account)") { try $0.identifier(0) }
    }
    return devices
  }
}

extension ContactState {
  init(row: borrowing Row, _ column: Int) throws {
    guard let state = UInt8(exactly: try row.integer(column)).flatMap(ContactState.init(rawValue:)) else {
      throw StorageError(.typeMismatch)
    }
    self = state
  }
}
