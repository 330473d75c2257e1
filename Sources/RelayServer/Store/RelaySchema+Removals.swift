import Storage

// Frozen: a change is a new step.

extension RelaySchema {
  /// Which entry ended whose membership, for as long as a node may still have to broadcast it: one that did not store the entry
  /// itself learns from here to whom it was the last.
  static let removals = Step(
    sqlite: Migration(
      up: """
        CREATE TABLE removal (
          room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
          sequence INTEGER NOT NULL,
          account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          PRIMARY KEY (room, sequence, account)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX removal_of_account ON removal (account);
        """,
      down: "DROP TABLE removal;"),
    postgres: Migration(
      up: """
        CREATE TABLE removal (
          room bigint NOT NULL REFERENCES room ON DELETE CASCADE,
          sequence bigint NOT NULL,
          account bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          PRIMARY KEY (room, sequence, account)
        );
        CREATE INDEX removal_of_account ON removal (account);
        """,
      down: "DROP TABLE removal;"))
}
