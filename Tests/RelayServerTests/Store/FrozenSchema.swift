/// The relay's schema, as it was and as it is: what migrations are measured against.
enum FrozenSchema {
  /// Version 1, as released. Never changes.
  static let first: StaticString = """
    CREATE TABLE relay (
      key INTEGER PRIMARY KEY CHECK (key = 1),
      incarnation INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE account (
      key INTEGER PRIMARY KEY,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
      username TEXT NOT NULL UNIQUE CHECK (instr(username, '@') = 0),
      email TEXT UNIQUE CHECK (instr(email, '@') > 0),
      password_hash TEXT NOT NULL,
      role TEXT NOT NULL,
      created INTEGER NOT NULL,
      list_number INTEGER NOT NULL,
      list BLOB NOT NULL
    ) STRICT;

    CREATE TABLE device (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE
    ) STRICT;
    CREATE INDEX device_of_account ON device (account);

    CREATE TABLE session (
      key INTEGER PRIMARY KEY,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      refresh_hash BLOB NOT NULL UNIQUE,
      created INTEGER NOT NULL,
      expires INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX session_of_device ON session (device);

    CREATE TABLE retired_refresh (
      key INTEGER PRIMARY KEY,
      session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE,
      refresh_hash BLOB NOT NULL UNIQUE
    ) STRICT;
    CREATE INDEX retired_refresh_of_session ON retired_refresh (session, key);

    CREATE TABLE key_package (
      key INTEGER PRIMARY KEY,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      hash BLOB NOT NULL,
      state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
      package BLOB CHECK ((package IS NULL) = (state = 2)),
      UNIQUE (device, hash)
    ) STRICT;
    CREATE INDEX key_package_of_device ON key_package (device, state, key);

    CREATE TABLE room (
      key INTEGER PRIMARY KEY,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
      epoch INTEGER NOT NULL CHECK (epoch >= 0),
      last INTEGER NOT NULL CHECK (last >= 0),
      created INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE member (
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      joined INTEGER NOT NULL,
      PRIMARY KEY (room, account)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX member_of_account ON member (account, room);

    CREATE TABLE entry (
      key INTEGER PRIMARY KEY,
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      sequence INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      epoch INTEGER NOT NULL,
      time INTEGER NOT NULL,
      message BLOB NOT NULL,
      UNIQUE (room, sequence)
    ) STRICT;

    CREATE TABLE sent (
      key INTEGER PRIMARY KEY,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      send_id BLOB NOT NULL,
      room INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      time INTEGER NOT NULL,
      UNIQUE (device, send_id)
    ) STRICT;

    CREATE TABLE welcome (
      key INTEGER PRIMARY KEY,
      sequence INTEGER NOT NULL,
      welcome BLOB NOT NULL
    ) STRICT;

    CREATE TABLE waiting (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      welcome INTEGER NOT NULL REFERENCES welcome,
      UNIQUE (device, room)
    ) STRICT;
    CREATE INDEX waiting_for_welcome ON waiting (welcome);
    CREATE INDEX waiting_in_room ON waiting (room);

    -- A Welcome goes with the last device that waits for it, whatever the reason.
    CREATE TRIGGER welcome_unwanted AFTER DELETE ON waiting
    WHEN NOT EXISTS (SELECT 1 FROM waiting WHERE welcome = OLD.welcome)
    BEGIN
      DELETE FROM welcome WHERE key = OLD.welcome;
    END;

    PRAGMA application_id = 1265200722;
    PRAGMA user_version = 1;
    """

  /// What all migrations together lead to; changes with each new one.
  static let current = """
    CREATE TRIGGER welcome_unwanted AFTER DELETE ON waiting
    WHEN NOT EXISTS (SELECT 1 FROM waiting WHERE welcome = OLD.welcome)
    BEGIN
      DELETE FROM welcome WHERE key = OLD.welcome;
    END;
    CREATE TABLE account (
      key INTEGER PRIMARY KEY,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
      username TEXT NOT NULL UNIQUE CHECK (instr(username, '@') = 0),
      email TEXT UNIQUE CHECK (instr(email, '@') > 0),
      password_hash TEXT NOT NULL,
      role TEXT NOT NULL,
      created INTEGER NOT NULL,
      list_number INTEGER NOT NULL,
      list BLOB NOT NULL
    ) STRICT;
    CREATE TABLE device (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE
    ) STRICT;
    CREATE TABLE entry (
      key INTEGER PRIMARY KEY,
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      sequence INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      epoch INTEGER NOT NULL,
      time INTEGER NOT NULL,
      message BLOB NOT NULL,
      UNIQUE (room, sequence)
    ) STRICT;
    CREATE TABLE key_package (
      key INTEGER PRIMARY KEY,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      hash BLOB NOT NULL,
      state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
      package BLOB CHECK ((package IS NULL) = (state = 2)),
      UNIQUE (device, hash)
    ) STRICT;
    CREATE TABLE member (
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      joined INTEGER NOT NULL,
      PRIMARY KEY (room, account)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE relay (
      key INTEGER PRIMARY KEY CHECK (key = 1),
      incarnation INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE removal (
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      sequence INTEGER NOT NULL,
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      PRIMARY KEY (room, sequence, account)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE retired_refresh (
      key INTEGER PRIMARY KEY,
      session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE,
      refresh_hash BLOB NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE room (
      key INTEGER PRIMARY KEY,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
      epoch INTEGER NOT NULL CHECK (epoch >= 0),
      last INTEGER NOT NULL CHECK (last >= 0),
      created INTEGER NOT NULL
    , retention INTEGER CHECK (retention > 0), swept INTEGER NOT NULL DEFAULT 0, counted INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE sent (
      key INTEGER PRIMARY KEY,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      send_id BLOB NOT NULL,
      room INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      time INTEGER NOT NULL,
      UNIQUE (device, send_id)
    ) STRICT;
    CREATE TABLE session (
      key INTEGER PRIMARY KEY,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      refresh_hash BLOB NOT NULL UNIQUE,
      created INTEGER NOT NULL,
      expires INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE waiting (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      welcome INTEGER NOT NULL REFERENCES welcome,
      UNIQUE (device, room)
    ) STRICT;
    CREATE TABLE welcome (
      key INTEGER PRIMARY KEY,
      sequence INTEGER NOT NULL,
      welcome BLOB NOT NULL
    ) STRICT;
    CREATE INDEX device_of_account ON device (account);
    CREATE INDEX key_package_of_device ON key_package (device, state, key);
    CREATE INDEX member_of_account ON member (account, room);
    CREATE INDEX removal_of_account ON removal (account);
    CREATE INDEX retired_refresh_of_session ON retired_refresh (session, key);
    CREATE INDEX session_of_device ON session (device);
    CREATE INDEX waiting_for_welcome ON waiting (welcome);
    CREATE INDEX waiting_in_room ON waiting (room);
    """
}
