import CryptoPrimitives
import RelayProtocol
import Storage

extension StoreTables {
  func createAccount(_ account: AccountRecord, devices list: DeviceListRecord) throws {
    let key = try insert(
      """
      INSERT INTO account (id, username, email, password_hash, role, created, list_number, list)
      VALUES (\(account.id), \(account.username), \(optional: account.email), \(account.passwordHash),
        \(account.role), \(account.created), \(list.number), \(list.encoded)) RETURNING key
      """, ifTaken: RelayError(.usernameTaken, "The name, address or id is taken."),
      ifRefused: RelayError(.invalidRequest, "The name or address is not valid."))
    try insert(list.devices, account: key)
    guard account.phone != nil || account.profile != Profile() else { return }
    try database.execute(
      """
      INSERT INTO person (account, phone, display_name, avatar)
      VALUES (\(key), \(optional: account.phone), \(account.profile.displayName), \(account.profile.avatar))
      """)
  }

  func replaceDeviceList(of user: UserID, with list: DeviceListRecord) throws {
    let account = try account(user)
    let number = try database.first("SELECT list_number FROM account WHERE key = \(account) \(lock: "account")") {
      try $0.unsigned(0)
    }
    guard let number, number < .max, list.number == number + 1 else {
      throw RelayError(.deviceListConflict, "The device list is not the next.")
    }
    // In the order of keys, in which all that lock several devices lock them.
    let stored = try database.query("SELECT key, id FROM device WHERE account = \(account) ORDER BY key") { row in
      (key: try row.integer(0), id: try row.identifier(1, as: DeviceID.self))
    }
    // Sessions, key packages and Welcomes go by foreign keys.
    for device in stored where !list.devices.contains(device.id) {
      try database.execute("DELETE FROM device WHERE key = \(device.key)")
    }
    let kept = Set(stored.map(\.id))
    try insert(list.devices.filter { !kept.contains($0) }, account: account)
    try database.execute(
      "UPDATE account SET list_number = \(list.number), list = \(list.encoded) WHERE key = \(account)")
    forgetDevices()
  }

  func updatePasswordHash(of user: UserID, to hash: String) throws {
    let changed = try database.execute("UPDATE account SET password_hash = \(hash) WHERE id = \(user)")
    guard changed == 1 else { throw RelayError(.userNotFound, "There is no such user.") }
  }

  /// A device belongs to one account for as long as it is listed, or one account could read another's Welcomes.
  private func insert(_ devices: [DeviceID], account: Int64) throws {
    guard devices.count <= Limits.devicesPerAccount else { throw RelayError(.tooLarge, "There are too many devices.") }
    for device in devices {
      try execute(
        "INSERT INTO device (id, account) VALUES (\(device), \(account))",
        ifTaken: RelayError(.deviceListConflict, "A device id is taken."))
    }
  }

  /// Keeps other writers from counting and trimming what belongs to a device at the same time.
  private func lock(_ device: Int64) throws {
    _ = try database.first("SELECT key FROM device WHERE key = \(device) \(lock: "device")") { try $0.integer(0) }
  }

  // MARK: Sessions

  /// Sessions that one device can have at a time; the oldest give way.
  static var sessionsPerDevice: Int { 16 }
  /// Replaced refresh tokens that are remembered for each session, to notice that one is used again.
  static var retiredPerSession: Int { 128 }

  /// Returns the sessions that made way.
  func createSession(_ session: SessionRecord) throws -> [UInt64] {
    guard let id = Int64(exactly: session.id) else { throw RelayError(.invalidRequest, "The session id is too large.") }
    let sender = try sender(session.user, session.device)
    try checkActive(sender.account)
    let device = sender.device
    try lock(device)
    try database.execute("DELETE FROM session WHERE device = \(device) AND expires <= \(session.created)")
    let ended = try database.query(
      """
      DELETE FROM session WHERE key IN (
        SELECT key FROM session WHERE device = \(device) ORDER BY created DESC, key
        LIMIT 1000000 OFFSET \(Self.sessionsPerDevice - 1))
      RETURNING key
      """
    ) { try $0.unsigned(0) }
    try database.execute(
      """
      INSERT INTO session (key, device, refresh_hash, created, expires)
      VALUES (\(id), \(device), \(session.refreshHash), \(session.created), \(session.expires))
      """)
    return ended
  }

  /// The session whose token was replaced, or nil if the token was not good.
  ///
  /// Returns instead of throwing, because a reused token changes something too: its session ends.
  func rotateSession(from old: [UInt8], to new: [UInt8], now: UInt64, expires: UInt64) throws -> SessionRecord? {
    var isRepeated = false
    var found = try database.first(
      "SELECT \(raw: SessionRecord.columns) WHERE session.refresh_hash = \(old) \(lock: "session")",
      SessionRecord.init(row:))
    if found == nil {
      found = try repeated(old, now: now)
      isRepeated = found != nil
    }
    guard var session = found else {
      try database.execute(
        "DELETE FROM session WHERE key IN (SELECT session FROM retired_refresh WHERE refresh_hash = \(old))")
      return nil
    }
    let key = Int64(bitPattern: session.id)
    guard session.expires > now else {
      try database.execute("DELETE FROM session WHERE key = \(key)")
      return nil
    }
    // Of a repeated one, the successor that never arrived is retired.
    let retired = isRepeated ? session.refreshHash : old
    try database.execute("INSERT INTO retired_refresh (session, refresh_hash) VALUES (\(key), \(retired))")
    if isRepeated {
      try database.execute("DELETE FROM rotation WHERE session = \(key)")
    } else {
      try database.execute(
        """
        INSERT INTO rotation (session, previous, time) VALUES (\(key), \(old), \(now))
        ON CONFLICT (session) DO UPDATE SET previous = excluded.previous, time = excluded.time
        """)
    }
    try database.execute(
      """
      DELETE FROM retired_refresh WHERE key IN (
        SELECT key FROM retired_refresh WHERE session = \(key) ORDER BY key DESC
        LIMIT 1000000 OFFSET \(Self.retiredPerSession))
      """)
    try database.execute("UPDATE session SET refresh_hash = \(new), expires = \(expires) WHERE key = \(key)")
    (session.refreshHash, session.expires) = (new, expires)
    return session
  }

  /// The session whose token before the present one is `old`, if that was replaced only just now and not repeated yet.
  private func repeated(_ old: [UInt8], now: UInt64) throws -> SessionRecord? {
    let rotation = try database.first(
      """
      SELECT rotation.session, rotation.time FROM retired_refresh JOIN rotation
      ON rotation.session = retired_refresh.session AND rotation.previous = retired_refresh.refresh_hash
      WHERE retired_refresh.refresh_hash = \(old)
      """
    ) { row in (session: try row.integer(0), time: try row.unsigned(1)) }
    guard let rotation, rotation.time + Limits.refreshGrace >= now else { return nil }
    let session = try database.first(
      "SELECT \(raw: SessionRecord.columns) WHERE session.key = \(rotation.session) \(lock: "session")",
      SessionRecord.init(row:))
    // Read again under the lock: another may have repeated it just before.
    let isGood = try database.first(
      "SELECT 1 FROM rotation WHERE session = \(rotation.session) AND previous = \(old)"
    ) { _ in true }
    return isGood == true ? session : nil
  }

  func endSession(id: UInt64) throws {
    try database.execute("DELETE FROM session WHERE key = \(id)")
  }

  // MARK: Key packages

  /// Packages that were handed out are remembered by hash up to this number for each device, so that a repeated
  /// upload does not offer them again.
  static var spentPerDevice: Int { 1000 }

  func addKeyPackages(_ packages: [[UInt8]], lastResort: [UInt8]?, device id: DeviceID) throws -> KeyPackageCount {
    guard let device = try device(id)?.device else {
      throw RelayError(.deviceUnknown, "The device is not in the account's list.")
    }
    guard packages.count <= Limits.keyPackagesPerUpload else {
      throw RelayError(.tooLarge, "There are too many key packages.")
    }
    for package in packages + [lastResort].compactMap({ $0 }) {
      try MessageRules.checkSize(package, max: Limits.keyPackage)
    }
    try lock(device)
    for package in packages {
      try database.execute(
        """
        INSERT INTO key_package (device, hash, state, package)
        VALUES (\(device), \(Digest.hash(.sha256, package)), 0, \(package)) ON CONFLICT DO NOTHING
        """)
    }
    if let lastResort {
      try database.execute("DELETE FROM key_package WHERE device = \(device) AND state = 1")
      try database.execute(
        """
        INSERT INTO key_package (device, hash, state, package)
        VALUES (\(device), \(Digest.hash(.sha256, lastResort)), 1, \(lastResort))
        ON CONFLICT (device, hash) DO UPDATE SET state = 1, package = excluded.package
        """)
    }
    // The newest stay: those are the ones whose private keys the device surely has.
    try trimKeyPackages(device, state: 0, keeping: Limits.keyPackagesPerDevice)
    return try database.keyPackageCount(device: id)
  }

  private func trimKeyPackages(_ device: Int64, state: Int, keeping count: Int) throws {
    try database.execute(
      """
      DELETE FROM key_package WHERE key IN (
        SELECT key FROM key_package WHERE device = \(device) AND state = \(state) ORDER BY key DESC
        LIMIT 1000000 OFFSET \(count))
      """)
  }

  func claimKeyPackages(of user: UserID) throws -> ClaimResponse {
    let account = try account(user)
    let devices = try database.query(
      "SELECT key, id FROM device WHERE account = \(account) ORDER BY key \(lock: "device")"
    ) { row in
      (key: try row.integer(0), id: try row.identifier(1, as: DeviceID.self))
    }
    var response = ClaimResponse(user: user, claimed: [], without: [])
    for device in devices {
      // State 0 comes before 1: a one-time package if there is one, else that of last resort.
      let found = try database.first(
        """
        SELECT key, state, package FROM key_package WHERE device = \(device.key) AND state < 2
        ORDER BY state, key LIMIT 1
        """
      ) { row in (key: try row.integer(0), state: try row.integer(1), package: try row.blob(2)) }
      guard let found else {
        response.without.append(device.id)
        continue
      }
      if found.state == 0 {
        try database.execute("UPDATE key_package SET state = 2, package = NULL WHERE key = \(found.key)")
        try trimKeyPackages(device.key, state: 2, keeping: Self.spentPerDevice)
      }
      response.claimed.append(.init(device: device.id, keyPackage: found.package))
    }
    return response
  }
}
