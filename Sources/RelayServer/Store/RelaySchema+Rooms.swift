import Storage

// What the relay knows of rooms beside their logs: who may do what, who may come in, and how.

extension RelaySchema {
  static let rooms = Step(
    sqlite: Migration(
      up: """
        ALTER TABLE room ADD COLUMN join_rule INTEGER NOT NULL DEFAULT 0 CHECK (join_rule IN (0, 1, 2));
        ALTER TABLE member ADD COLUMN role INTEGER NOT NULL DEFAULT 0 CHECK (role IN (0, 1, 2));
        -- Nothing tells who was what before; clients know, and refuse what is not to be.
        UPDATE member SET role = 2;

        CREATE TABLE banned (
          room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
          account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          PRIMARY KEY (room, account)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX banned_account ON banned (account);

        CREATE TABLE direct_room (
          room INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
          low INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          high INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          UNIQUE (low, high)
        ) STRICT;
        CREATE INDEX direct_room_of_high ON direct_room (high);

        CREATE TABLE invite (
          key INTEGER PRIMARY KEY AUTOINCREMENT,
          id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
          room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
          expires INTEGER NOT NULL,
          uses INTEGER CHECK (uses >= 0)
        ) STRICT;
        CREATE INDEX invite_of_room ON invite (room);

        CREATE TABLE group_info (
          room INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
          epoch INTEGER NOT NULL,
          info BLOB NOT NULL
        ) STRICT;

        CREATE TABLE join_code (
          room INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
          code TEXT NOT NULL UNIQUE,
          expires INTEGER NOT NULL,
          uses INTEGER NOT NULL CHECK (uses >= 0)
        ) STRICT;

        CREATE TABLE code_guess (
          key INTEGER PRIMARY KEY AUTOINCREMENT,
          account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          time INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX code_guess_of_account ON code_guess (account, time);
        CREATE INDEX code_guess_time ON code_guess (time);

        CREATE TABLE asking (
          key INTEGER PRIMARY KEY AUTOINCREMENT,
          room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
          account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          device INTEGER REFERENCES device ON DELETE CASCADE,
          time INTEGER NOT NULL,
          UNIQUE (room, account)
        ) STRICT;
        CREATE INDEX asking_account ON asking (account);
        CREATE INDEX asking_device ON asking (device);

        CREATE TABLE listing (
          room INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
          name TEXT NOT NULL,
          folded TEXT NOT NULL,
          topic TEXT NOT NULL
        ) STRICT;
        CREATE INDEX listing_by_name ON listing (folded, room);

        CREATE TABLE deletion (
          key INTEGER PRIMARY KEY AUTOINCREMENT,
          room BLOB NOT NULL CHECK (length(room) = 16),
          account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
          proof BLOB NOT NULL,
          time INTEGER NOT NULL,
          UNIQUE (account, room)
        ) STRICT;
        CREATE INDEX deletion_time ON deletion (time);
        """,
      down: """
        DROP TABLE deletion;
        DROP TABLE listing;
        DROP TABLE asking;
        DROP TABLE code_guess;
        DROP TABLE join_code;
        DROP TABLE group_info;
        DROP TABLE invite;
        DROP TABLE direct_room;
        DROP TABLE banned;
        ALTER TABLE member DROP COLUMN role;
        ALTER TABLE room DROP COLUMN join_rule;
        """),
    postgres: Migration(
      up: """
        ALTER TABLE room ADD COLUMN join_rule bigint NOT NULL DEFAULT 0 CHECK (join_rule IN (0, 1, 2));
        ALTER TABLE member ADD COLUMN role bigint NOT NULL DEFAULT 0 CHECK (role IN (0, 1, 2));
        -- Nothing tells who was what before; clients know, and refuse what is not to be.
        UPDATE member SET role = 2;

        CREATE TABLE banned (
          room bigint NOT NULL REFERENCES room ON DELETE CASCADE,
          account bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          PRIMARY KEY (room, account)
        );
        CREATE INDEX banned_account ON banned (account);

        CREATE TABLE direct_room (
          room bigint PRIMARY KEY REFERENCES room ON DELETE CASCADE,
          low bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          high bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          UNIQUE (low, high)
        );
        CREATE INDEX direct_room_of_high ON direct_room (high);

        CREATE TABLE invite (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          id bytea NOT NULL UNIQUE CHECK (length(id) = 16),
          room bigint NOT NULL REFERENCES room ON DELETE CASCADE,
          expires bigint NOT NULL,
          uses bigint CHECK (uses >= 0)
        );
        CREATE INDEX invite_of_room ON invite (room);

        CREATE TABLE group_info (
          room bigint PRIMARY KEY REFERENCES room ON DELETE CASCADE,
          epoch bigint NOT NULL,
          info bytea NOT NULL
        );

        CREATE TABLE join_code (
          room bigint PRIMARY KEY REFERENCES room ON DELETE CASCADE,
          code text COLLATE "C" NOT NULL UNIQUE,
          expires bigint NOT NULL,
          uses bigint NOT NULL CHECK (uses >= 0)
        );

        CREATE TABLE code_guess (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          account bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          time bigint NOT NULL
        );
        CREATE INDEX code_guess_of_account ON code_guess (account, time);
        CREATE INDEX code_guess_time ON code_guess (time);

        CREATE TABLE asking (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          room bigint NOT NULL REFERENCES room ON DELETE CASCADE,
          account bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          device bigint REFERENCES device ON DELETE CASCADE,
          time bigint NOT NULL,
          UNIQUE (room, account)
        );
        CREATE INDEX asking_account ON asking (account);
        CREATE INDEX asking_device ON asking (device);

        CREATE TABLE listing (
          room bigint PRIMARY KEY REFERENCES room ON DELETE CASCADE,
          name text COLLATE "C" NOT NULL,
          folded text COLLATE "C" NOT NULL,
          topic text COLLATE "C" NOT NULL
        );
        CREATE INDEX listing_by_name ON listing (folded, room);

        CREATE TABLE deletion (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          room bytea NOT NULL CHECK (length(room) = 16),
          account bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          proof bytea NOT NULL,
          time bigint NOT NULL,
          UNIQUE (account, room)
        );
        CREATE INDEX deletion_time ON deletion (time);
        """,
      down: """
        DROP TABLE deletion;
        DROP TABLE listing;
        DROP TABLE asking;
        DROP TABLE code_guess;
        DROP TABLE join_code;
        DROP TABLE group_info;
        DROP TABLE invite;
        DROP TABLE direct_room;
        DROP TABLE banned;
        ALTER TABLE member DROP COLUMN role;
        ALTER TABLE room DROP COLUMN join_rule;
        """))
}
