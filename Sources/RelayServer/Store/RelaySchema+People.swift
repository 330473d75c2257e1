import Storage

// Frozen: a change is a new step.

extension RelaySchema {
  /// People: what an account is beside its keys, whom it knows, how one comes in, and what administrators did.
  ///
  /// An account without a row in `person` has the defaults, so a relay of the version before may still make accounts.
  static let people = Step(
    sqlite: Migration(
      up: """
        CREATE TABLE person (
          account INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
          state INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2, 3)),
          phone TEXT,
          display_name TEXT NOT NULL DEFAULT '',
          avatar TEXT NOT NULL DEFAULT '',
          presence INTEGER NOT NULL DEFAULT 1,
          shows_presence INTEGER NOT NULL DEFAULT 1,
          last_seen INTEGER NOT NULL DEFAULT 0
        ) STRICT;

        CREATE TABLE contact (
          owner INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          other INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4, 5)),
          changed INTEGER NOT NULL,
          PRIMARY KEY (owner, other)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX contact_of_other ON contact (other, state);

        CREATE TABLE account_invite (
          key INTEGER PRIMARY KEY AUTOINCREMENT,
          hash BLOB NOT NULL UNIQUE,
          uses INTEGER NOT NULL,
          used INTEGER NOT NULL,
          created INTEGER NOT NULL,
          expires INTEGER NOT NULL,
          revoked INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE identity (
          issuer TEXT NOT NULL,
          subject TEXT NOT NULL,
          account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          PRIMARY KEY (issuer, subject)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX identity_of_account ON identity (account);

        CREATE TABLE rotation (
          session INTEGER PRIMARY KEY REFERENCES session ON DELETE CASCADE,
          previous BLOB NOT NULL,
          time INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE audit (
          key INTEGER PRIMARY KEY AUTOINCREMENT,
          time INTEGER NOT NULL,
          actor TEXT NOT NULL,
          act TEXT NOT NULL,
          subject TEXT NOT NULL
        ) STRICT;
        """,
      down: """
        DROP TABLE audit;
        DROP TABLE rotation;
        DROP TABLE identity;
        DROP TABLE account_invite;
        DROP TABLE contact;
        DROP TABLE person;
        """),
    postgres: Migration(
      up: """
        CREATE TABLE person (
          account bigint PRIMARY KEY REFERENCES account ON DELETE CASCADE,
          state bigint NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2, 3)),
          phone text,
          display_name text NOT NULL DEFAULT '',
          avatar text NOT NULL DEFAULT '',
          presence bigint NOT NULL DEFAULT 1,
          shows_presence bigint NOT NULL DEFAULT 1,
          last_seen bigint NOT NULL DEFAULT 0
        );

        CREATE TABLE contact (
          owner bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          other bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          state bigint NOT NULL CHECK (state IN (1, 2, 3, 4, 5)),
          changed bigint NOT NULL,
          PRIMARY KEY (owner, other)
        );
        CREATE INDEX contact_of_other ON contact (other, state);

        CREATE TABLE account_invite (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          hash bytea NOT NULL UNIQUE,
          uses bigint NOT NULL,
          used bigint NOT NULL,
          created bigint NOT NULL,
          expires bigint NOT NULL,
          revoked bigint NOT NULL
        );

        CREATE TABLE identity (
          issuer text COLLATE "C" NOT NULL,
          subject text COLLATE "C" NOT NULL,
          account bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          PRIMARY KEY (issuer, subject)
        );
        CREATE INDEX identity_of_account ON identity (account);

        CREATE TABLE rotation (
          session bigint PRIMARY KEY REFERENCES session ON DELETE CASCADE,
          previous bytea NOT NULL,
          time bigint NOT NULL
        );

        CREATE TABLE audit (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          time bigint NOT NULL,
          actor text NOT NULL,
          act text NOT NULL,
          subject text NOT NULL
        );
        """,
      down: """
        DROP TABLE audit;
        DROP TABLE rotation;
        DROP TABLE identity;
        DROP TABLE account_invite;
        DROP TABLE contact;
        DROP TABLE person;
        """))
}
