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
    CREATE TRIGGER log_goes AFTER DELETE ON room
    BEGIN
      DELETE FROM entry WHERE room = OLD.key;
    END;
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
    CREATE TABLE account_invite (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      hash BLOB NOT NULL UNIQUE,
      uses INTEGER NOT NULL,
      used INTEGER NOT NULL,
      created INTEGER NOT NULL,
      expires INTEGER NOT NULL,
      revoked INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE asking (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      device INTEGER REFERENCES device ON DELETE CASCADE,
      time INTEGER NOT NULL,
      UNIQUE (room, account)
    ) STRICT;
    CREATE TABLE audit (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      time INTEGER NOT NULL,
      actor TEXT NOT NULL,
      act TEXT NOT NULL,
      subject TEXT NOT NULL
    ) STRICT;
    CREATE TABLE banned (
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      PRIMARY KEY (room, account)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE code_guess (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      time INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE contact (
      owner INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      other INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4, 5)),
      changed INTEGER NOT NULL,
      PRIMARY KEY (owner, other)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE deletion (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      room BLOB NOT NULL CHECK (length(room) = 16),
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      proof BLOB NOT NULL,
      time INTEGER NOT NULL,
      UNIQUE (account, room)
    ) STRICT;
    CREATE TABLE device (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE
    ) STRICT;
    CREATE TABLE direct_room (
      room INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
      low INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      high INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      UNIQUE (low, high)
    ) STRICT;
    CREATE TABLE "entry" (
      key INTEGER PRIMARY KEY,
      room INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      epoch INTEGER NOT NULL,
      time INTEGER NOT NULL,
      message BLOB NOT NULL,
      UNIQUE (room, sequence)
    ) STRICT;
    CREATE TABLE group_info (
      room INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
      epoch INTEGER NOT NULL,
      info BLOB NOT NULL
    ) STRICT;
    CREATE TABLE identity (
      issuer TEXT NOT NULL,
      subject TEXT NOT NULL,
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      PRIMARY KEY (issuer, subject)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE invite (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      expires INTEGER NOT NULL,
      uses INTEGER CHECK (uses >= 0)
    ) STRICT;
    CREATE TABLE join_code (
      room INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
      code TEXT NOT NULL UNIQUE,
      expires INTEGER NOT NULL,
      uses INTEGER NOT NULL CHECK (uses >= 0)
    ) STRICT;
    CREATE TABLE key_package (
      key INTEGER PRIMARY KEY,
      device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
      hash BLOB NOT NULL,
      state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
      package BLOB CHECK ((package IS NULL) = (state = 2)),
      UNIQUE (device, hash)
    ) STRICT;
    CREATE TABLE listing (
      room INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
      name TEXT NOT NULL,
      folded TEXT NOT NULL,
      topic TEXT NOT NULL
    ) STRICT;
    CREATE TABLE member (
      room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
      account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
      joined INTEGER NOT NULL, role INTEGER NOT NULL DEFAULT 0 CHECK (role IN (0, 1, 2)),
      PRIMARY KEY (room, account)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE node_secret (
      key INTEGER PRIMARY KEY CHECK (key = 1),
      secret BLOB NOT NULL CHECK (length(secret) = 32)
    ) STRICT;
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
    CREATE TABLE redeemed_token (
      hash BLOB PRIMARY KEY,
      expires INTEGER NOT NULL
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
    , retention INTEGER CHECK (retention > 0), swept INTEGER NOT NULL DEFAULT 0, counted INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, join_rule INTEGER NOT NULL DEFAULT 0 CHECK (join_rule IN (0, 1, 2))) STRICT;
    CREATE TABLE rotation (
      session INTEGER PRIMARY KEY REFERENCES session ON DELETE CASCADE,
      previous BLOB NOT NULL,
      time INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE "sent" (
      key INTEGER PRIMARY KEY,
      device INTEGER NOT NULL,
      send_id BLOB NOT NULL,
      room INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      time INTEGER NOT NULL
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
    CREATE INDEX asking_account ON asking (account);
    CREATE INDEX asking_device ON asking (device);
    CREATE INDEX banned_account ON banned (account);
    CREATE INDEX code_guess_of_account ON code_guess (account, time);
    CREATE INDEX code_guess_time ON code_guess (time);
    CREATE INDEX contact_of_other ON contact (other, state);
    CREATE INDEX deletion_time ON deletion (time);
    CREATE INDEX device_of_account ON device (account);
    CREATE INDEX direct_room_of_high ON direct_room (high);
    CREATE INDEX identity_of_account ON identity (account);
    CREATE INDEX invite_of_room ON invite (room);
    CREATE INDEX key_package_of_device ON key_package (device, state, key);
    CREATE INDEX listing_by_name ON listing (folded, room);
    CREATE INDEX member_of_account ON member (account, room);
    CREATE INDEX redeemed_token_by_end ON redeemed_token (expires);
    CREATE INDEX removal_of_account ON removal (account);
    CREATE INDEX retired_refresh_of_session ON retired_refresh (session, key);
    CREATE INDEX session_of_device ON session (device);
    CREATE INDEX waiting_for_welcome ON waiting (welcome);
    CREATE INDEX waiting_in_room ON waiting (room);
    """
}
