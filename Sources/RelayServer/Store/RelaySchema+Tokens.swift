import Storage

// Frozen: a change is a new step.

extension RelaySchema {
  /// Tokens of another issuer that were exchanged for a session, by hash, until they have expired: on every relay that
  /// shares the store, each is good once.
  static let tokens = Step(
    sqlite: Migration(
      up: """
        CREATE TABLE redeemed_token (
          hash BLOB PRIMARY KEY,
          expires INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX redeemed_token_by_end ON redeemed_token (expires);
        """,
      down: "DROP TABLE redeemed_token;"),
    postgres: Migration(
      up: """
        CREATE TABLE redeemed_token (
          hash bytea PRIMARY KEY,
          expires bigint NOT NULL
        );
        CREATE INDEX redeemed_token_by_end ON redeemed_token (expires);
        """,
      down: "DROP TABLE redeemed_token;"))
}
