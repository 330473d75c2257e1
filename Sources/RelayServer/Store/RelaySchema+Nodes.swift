import Storage

// Frozen: a change is a new step.

extension RelaySchema {
  /// What the relays of one store have in common and tell nobody.
  static let nodes = Step(
    sqlite: Migration(
      up: """
        CREATE TABLE node_secret (
          key INTEGER PRIMARY KEY CHECK (key = 1),
          secret BLOB NOT NULL CHECK (length(secret) = 32)
        ) STRICT;
        """,
      down: "DROP TABLE node_secret;"),
    postgres: Migration(
      up: """
        CREATE TABLE node_secret (
          key bigint PRIMARY KEY CHECK (key = 1),
          secret bytea NOT NULL CHECK (length(secret) = 32)
        );
        """,
      down: "DROP TABLE node_secret;"))
}
