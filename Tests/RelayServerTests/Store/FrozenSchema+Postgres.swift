extension FrozenSchema {
  /// Version 1 in PostgreSQL, as released. Never changes.
  static let firstPostgres: StaticString = """
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

    CREATE TABLE kin_schema (application bigint NOT NULL, version bigint NOT NULL);
    INSERT INTO kin_schema (application, version) VALUES (1265200722, 1);
    """
}
