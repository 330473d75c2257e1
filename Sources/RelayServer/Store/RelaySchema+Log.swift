import Storage

// Frozen: a change is a new step.

extension RelaySchema {
  /// What SQLite need not do for each message: look after rows that are there anyway, and keep an index of send ids, which
  /// are random, so that each insert into it is a page to write. ``RecentSends`` finds them in memory.
  static let log = Step(
    sqlite: Migration(
      up: """
        CREATE TABLE log_entry (
          key INTEGER PRIMARY KEY,
          room INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          kind INTEGER NOT NULL,
          epoch INTEGER NOT NULL,
          time INTEGER NOT NULL,
          message BLOB NOT NULL,
          UNIQUE (room, sequence)
        ) STRICT;
        INSERT INTO log_entry (key, room, sequence, kind, epoch, time, message)
        SELECT key, room, sequence, kind, epoch, time, message FROM entry ORDER BY key;
        DROP TABLE entry;
        ALTER TABLE log_entry RENAME TO entry;
        CREATE TRIGGER log_goes AFTER DELETE ON room
        BEGIN
          DELETE FROM entry WHERE room = OLD.key;
        END;

        CREATE TABLE recent_sent (
          key INTEGER PRIMARY KEY,
          device INTEGER NOT NULL,
          send_id BLOB NOT NULL,
          room INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          time INTEGER NOT NULL
        ) STRICT;
        INSERT INTO recent_sent (key, device, send_id, room, sequence, time)
        SELECT key, device, send_id, room, sequence, time FROM sent ORDER BY key;
        DROP TABLE sent;
        ALTER TABLE recent_sent RENAME TO sent;
        CREATE TRIGGER sent_goes AFTER DELETE ON device
        BEGIN
          DELETE FROM sent WHERE device = OLD.key;
        END;
        """,
      down: """
        DROP TRIGGER sent_goes;
        CREATE TABLE indexed_sent (
          key INTEGER PRIMARY KEY,
          device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
          send_id BLOB NOT NULL,
          room INTEGER NOT NULL,
          sequence INTEGER NOT NULL,
          time INTEGER NOT NULL,
          UNIQUE (device, send_id)
        ) STRICT;
        INSERT INTO indexed_sent (key, device, send_id, room, sequence, time)
        SELECT key, device, send_id, room, sequence, time FROM sent ORDER BY key;
        DROP TABLE sent;
        ALTER TABLE indexed_sent RENAME TO sent;

        DROP TRIGGER log_goes;
        CREATE TABLE log_entry (
          key INTEGER PRIMARY KEY,
          room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
          sequence INTEGER NOT NULL,
          kind INTEGER NOT NULL,
          epoch INTEGER NOT NULL,
          time INTEGER NOT NULL,
          message BLOB NOT NULL,
          UNIQUE (room, sequence)
        ) STRICT;
        INSERT INTO log_entry (key, room, sequence, kind, epoch, time, message)
        SELECT key, room, sequence, kind, epoch, time, message FROM entry ORDER BY key;
        DROP TABLE entry;
        ALTER TABLE log_entry RENAME TO entry;
        """),
    // Several relays write to PostgreSQL, so it keeps the index. With the id first, no plan can mean to read all of a device's.
    postgres: Migration(
      up: "ALTER TABLE sent DROP CONSTRAINT sent_pkey, ADD PRIMARY KEY (send_id, device)",
      down: "ALTER TABLE sent DROP CONSTRAINT sent_pkey, ADD PRIMARY KEY (device, send_id)"))
}
