import Storage

// Frozen: a change is a new step.

extension RelaySchema {
  static let first = Step(
    sqlite: Migration(
      up: """
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
        """,
      down: """
        DROP TRIGGER welcome_unwanted;
        DROP TABLE waiting;
        DROP TABLE welcome;
        DROP TABLE sent;
        DROP TABLE entry;
        DROP TABLE member;
        DROP TABLE room;
        DROP TABLE key_package;
        DROP TABLE retired_refresh;
        DROP TABLE session;
        DROP TABLE device;
        DROP TABLE account;
        DROP TABLE relay;
        """),
    postgres: Migration(
      up: """
        CREATE TABLE relay (
          key bigint PRIMARY KEY CHECK (key = 1),
          incarnation bigint NOT NULL
        );

        -- A row for each connection that writes: the last of its transactions that was committed.
        CREATE TABLE witness (
          session bigint PRIMARY KEY,
          number bigint NOT NULL,
          time timestamptz NOT NULL
        ) WITH (fillfactor = 20);

        CREATE TABLE account (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          id bytea NOT NULL UNIQUE CHECK (length(id) = 16),
          username text COLLATE "C" NOT NULL UNIQUE CHECK (strpos(username, '@') = 0),
          email text COLLATE "C" UNIQUE CHECK (strpos(email, '@') > 0),
          password_hash text NOT NULL,
          role text NOT NULL,
          created bigint NOT NULL,
          list_number bigint NOT NULL,
          list bytea NOT NULL
        );

        CREATE TABLE device (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          id bytea NOT NULL UNIQUE CHECK (length(id) = 16),
          account bigint NOT NULL REFERENCES account ON DELETE CASCADE
        );
        CREATE INDEX device_of_account ON device (account);

        CREATE TABLE session (
          key bigint PRIMARY KEY,
          device bigint NOT NULL REFERENCES device ON DELETE CASCADE,
          refresh_hash bytea NOT NULL UNIQUE,
          created bigint NOT NULL,
          expires bigint NOT NULL
        );
        CREATE INDEX session_of_device ON session (device);

        CREATE TABLE retired_refresh (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          session bigint NOT NULL REFERENCES session ON DELETE CASCADE,
          refresh_hash bytea NOT NULL UNIQUE
        );
        CREATE INDEX retired_refresh_of_session ON retired_refresh (session, key);

        CREATE TABLE key_package (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          device bigint NOT NULL REFERENCES device ON DELETE CASCADE,
          hash bytea NOT NULL,
          state bigint NOT NULL CHECK (state IN (0, 1, 2)),
          package bytea CHECK ((package IS NULL) = (state = 2)),
          UNIQUE (device, hash)
        );
        CREATE INDEX key_package_of_device ON key_package (device, state, key);

        CREATE TABLE room (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          id bytea NOT NULL UNIQUE CHECK (length(id) = 16),
          epoch bigint NOT NULL CHECK (epoch >= 0),
          last bigint NOT NULL CHECK (last >= 0),
          created bigint NOT NULL
        ) WITH (fillfactor = 50);

        CREATE TABLE member (
          room bigint NOT NULL REFERENCES room ON DELETE CASCADE,
          account bigint NOT NULL REFERENCES account ON DELETE CASCADE,
          joined bigint NOT NULL,
          PRIMARY KEY (room, account)
        );
        CREATE INDEX member_of_account ON member (account, room);

        -- Whoever adds an entry holds its room's lock, so a foreign key, checked for each row, would find nothing. Without
        -- one the table can be partitioned by hash of the room.
        CREATE TABLE entry (
          room bigint NOT NULL,
          sequence bigint NOT NULL,
          kind bigint NOT NULL,
          epoch bigint NOT NULL,
          time bigint NOT NULL,
          message bytea NOT NULL,
          PRIMARY KEY (room, sequence)
        );
        -- What is sealed does not get smaller.
        ALTER TABLE entry ALTER message SET STORAGE EXTERNAL;

        CREATE FUNCTION drop_log() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          DELETE FROM entry WHERE room = OLD.key;
          RETURN NULL;
        END $$;
        CREATE TRIGGER log_goes AFTER DELETE ON room FOR EACH ROW EXECUTE FUNCTION drop_log();

        -- As with entries: whoever adds a row keeps the device from being deleted.
        CREATE TABLE sent (
          device bigint NOT NULL,
          send_id bytea NOT NULL,
          room bigint NOT NULL,
          sequence bigint NOT NULL,
          time bigint NOT NULL,
          PRIMARY KEY (device, send_id)
        );
        CREATE INDEX sent_by_time ON sent USING brin (time);

        CREATE FUNCTION drop_sent() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          DELETE FROM sent WHERE device = OLD.key;
          RETURN NULL;
        END $$;
        CREATE TRIGGER sent_goes AFTER DELETE ON device FOR EACH ROW EXECUTE FUNCTION drop_sent();

        CREATE TABLE welcome (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          sequence bigint NOT NULL,
          welcome bytea NOT NULL
        );
        ALTER TABLE welcome ALTER welcome SET STORAGE EXTERNAL;

        CREATE TABLE waiting (
          key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          device bigint NOT NULL REFERENCES device ON DELETE CASCADE,
          room bigint NOT NULL REFERENCES room ON DELETE CASCADE,
          welcome bigint NOT NULL REFERENCES welcome,
          UNIQUE (device, room)
        );
        CREATE INDEX waiting_for_welcome ON waiting (welcome);
        CREATE INDEX waiting_in_room ON waiting (room);

        -- A Welcome goes with the last device that waits for it, whatever the reason.
        CREATE FUNCTION drop_unwanted_welcome() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          -- Of two that delete the last two at once, the second must see what the first did.
          PERFORM key FROM welcome WHERE key = OLD.welcome FOR UPDATE;
          DELETE FROM welcome WHERE key = OLD.welcome
            AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.welcome = OLD.welcome);
          RETURN NULL;
        END $$;
        CREATE TRIGGER welcome_unwanted AFTER DELETE ON waiting
        FOR EACH ROW EXECUTE FUNCTION drop_unwanted_welcome();
        """,
      down: """
        DROP TABLE waiting;
        DROP FUNCTION drop_unwanted_welcome();
        DROP TABLE welcome;
        DROP TABLE sent;
        DROP TABLE entry;
        DROP TABLE member;
        DROP TABLE room;
        DROP FUNCTION drop_log();
        DROP TABLE key_package;
        DROP TABLE retired_refresh;
        DROP TABLE session;
        DROP TABLE device;
        DROP FUNCTION drop_sent();
        DROP TABLE account;
        DROP TABLE witness;
        DROP TABLE relay;
        """))
}
