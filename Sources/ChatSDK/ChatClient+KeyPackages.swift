import CryptoPrimitives
import E2ECrypto
import RelayProtocol

// Key packages let others ask this device in: each is good once, but for the one of last resort.
extension ChatClient {
  static let keyPackagesWanted = 30
  static let keyPackagesLow = 10
  /// Packages that end sooner than this, in milliseconds, are replaced while those who have one can still use it.
  static let renewal: UInt64 = 30 * 86_400_000
  /// For how long the key of last resort stays after its first use and its replacement, for Welcomes on their way.
  static let lastResortGrace: UInt64 = 86_400_000

  /// Sees to it that others find key packages of this device, fresh ones and one of last resort, and erases the private
  /// keys of those that nobody can use any more.
  func refillKeyPackages() async throws {
    let count = try await context.api.countKeyPackages()
    let now = context.now
    let records = try context.store.read { try $0.all(KeyPackageRecord.self) }
    // The relay hands out the oldest first and keeps the newest: as many as it keeps push all others out.
    let isAgeing =
      records.contains { !$0.isLastResort && $0.expires > now && $0.expires < now + Self.renewal }
      && !records.contains { !$0.isLastResort && $0.expires >= now + Self.renewal }
    let hasFreshLast = records.contains { $0.isLastResort && $0.used == 0 && $0.expires >= now + Self.renewal }
    let wanted = isAgeing ? Limits.keyPackagesPerDevice : Self.keyPackagesWanted
    let missing = isAgeing ? wanted : count.oneTime < Self.keyPackagesLow ? max(0, wanted - count.oneTime) : 0
    let needsLast = !count.hasLastResort || !hasFreshLast
    if missing > 0 || needsLast {
      do { try await publish(missing, lastResort: needsLast, now: now) } catch let error as ChatError {
        guard error.relayCode == .invalidRequest else { throw error }
        // What was made with a clock that is far off is of no use to anybody: everything else works all the same.
        let finding = context.finding(.notSent, "the relay takes no key packages of this device: is its clock right?")
        try context.store.write { try $0.add(finding) }
        return
      }
    }
    try eraseSpent(records, hasReplacedLast: needsLast || hasFreshLast, now: now)
  }

  private func publish(_ count: Int, lastResort: Bool, now: UInt64) async throws {
    let identity = try context.identity()
    func make(lastResort: Bool) throws -> (message: [UInt8], record: KeyPackageRecord) {
      let lifetime = context.lifetime
      let bundle = try KeyPackageBundle.generate(
        suite: context.suite, identity: identity.client, capabilities: ClientContext.capabilities, lifetime: lifetime,
        lastResort: lastResort)
      let record = KeyPackageRecord(
        reference: try bundle.keyPackage.reference(), isLastResort: lastResort,
        bundle: bundle.encodeState().withBytes { Array($0) }, expires: lifetime.notAfter.secondsSinceEpoch * 1000)
      return (bundle.message, record)
    }
    let fresh = try (0..<count).map { _ in try make(lastResort: false) }
    let last = lastResort ? try make(lastResort: true) : nil
    // Their private keys are on disk before anybody can use them.
    try context.store.write { store in
      for item in fresh { try store.save(item.record) }
      if let last { try store.save(last.record) }
    }
    var rest = fresh.map(\.message)[...]
    var end = last?.message
    repeat {
      let some = Array(rest.prefix(Limits.keyPackagesPerUpload))
      _ = try await context.api.publish(KeyPackagesRequest(keyPackages: some, lastResort: end))
      rest = rest.dropFirst(some.count)
      end = nil
    } while !rest.isEmpty
  }

  /// Whoever steals this device's state later must not open Welcomes of long ago with it.
  private func eraseSpent(_ records: [KeyPackageRecord], hasReplacedLast: Bool, now: UInt64) throws {
    let spent = records.filter { record in
      record.expires + Self.lastResortGrace < now
        || (hasReplacedLast && record.used != 0 && record.used + Self.lastResortGrace < now)
    }
    guard !spent.isEmpty else { return }
    try context.store.write { store in for record in spent { try store.remove(.keyPackage, record.reference) } }
  }
}
