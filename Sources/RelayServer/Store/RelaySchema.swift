import Storage

/// The tables of ``RelayStore`` in a database, as steps that lead from one version to the next in each dialect.
///
/// Rows refer to each other by small integer keys; the 16-byte identifiers of the wire are looked up once. Unsigned
/// numbers are stored by their bits. No table says who sent an entry: only `sent` names a device, for as long as its
/// retries are answered. In PostgreSQL every integer is a `bigint`, every blob a `bytea`, and names that are searched or
/// sorted have the collation "C", so that both databases give the same answers.
enum RelaySchema {
  struct Step: Sendable {
    let sqlite: Migration
    let postgres: Migration
  }

  /// A step that was released never changes again: what comes later is a new one, in a file of its own.
  static let steps: [Step] = [first, retention, removals, rooms, people, log, nodes, tokens, sends]

  /// `KinR` in ASCII.
  private static let applicationID: Int32 = 0x4B69_6E52
  static let sqlite = Migrations(applicationID: applicationID, steps.map(\.sqlite))
  static let postgres = PostgresMigrations(applicationID: applicationID, steps.map(\.postgres))
}
