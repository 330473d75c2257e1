import Glibc
import RelayProtocol

/// How many files and connections the process may have open.
package enum OpenFiles {
  /// What the relay opens beside its clients' connections: the database and its copies, metrics, the admin socket.
  private static let reserve = 48
  /// Each event loop's own, and those whom it is turning away.
  private static let ofLoop = 80
  /// Fewer clients than these are not worth a start.
  private static let fewest = 16

  /// Lifts the soft limit to the hard one: shells and systemd give a thousand to programs that do not ask, and allow far
  /// more to those that do.
  package static func raise() {
    guard var limit, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  private static var limit: rlimit? {
    var limit = rlimit()
    return getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? limit : nil
  }

  /// How many are open already: the standard ones, and what the process was started with.
  private static var open: Int {
    guard let folder = opendir("/proc/self/fd") else { return 3 }
    defer { closedir(folder) }
    var count = 0
    while let entry = readdir(folder) { count += entry.pointee.d_name.0 == CChar(UInt8(ascii: ".")) ? 0 : 1 }
    return count - 1
  }

  /// How many clients may be connected at once under the limit in force.
  ///
  /// Beyond them new ones are told so, while the store, the metrics and the admin socket still get what they open.
  /// - Throws: `unavailable` when there would be no room for anybody.
  package static func connections(_ configuration: RelayConfiguration) throws(RelayError) -> Int {
    let allowed = limit.map { Int(clamping: $0.rlim_cur) } ?? .max
    let ofStore =
      configuration.store == .postgres ? 2 * configuration.postgresWriters + configuration.postgresReaders : 0
    let room = allowed - open - reserve - configuration.loopCount * ofLoop - ofStore
    guard room >= min(fewest, configuration.maxConnections) else {
      throw RelayError(
        .unavailable, "too few open files are allowed",
        remedy: "raise LimitNOFILE= in the unit, or `ulimit -Hn`, to 65536")
    }
    return min(configuration.maxConnections, room)
  }
}
