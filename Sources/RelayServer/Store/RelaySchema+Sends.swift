import Storage

// Frozen: a change is a new step.
extension RelaySchema {
  /// Remembered sends stay until their time comes, whatever becomes of their device: no index leads to them from it, so to
  /// look for them is to read all that was sent of late by anybody.
  static let sends = Step(
    sqlite: Migration(
      up: "DROP TRIGGER sent_goes;",
      down: """
        DELETE FROM sent WHERE device NOT IN (SELECT key FROM device) OR room NOT IN (SELECT key FROM room);
        CREATE TRIGGER sent_goes AFTER DELETE ON device
        BEGIN
          DELETE FROM sent WHERE device = OLD.key;
        END;
        """),
    postgres: Migration(
      up: """
        DROP TRIGGER sent_goes ON device;
        DROP FUNCTION drop_sent();
        """,
      down: """
        DELETE FROM sent WHERE NOT EXISTS (SELECT 1 FROM device WHERE device.key = sent.device)
          OR NOT EXISTS (SELECT 1 FROM room WHERE room.key = sent.room);
        CREATE FUNCTION drop_sent() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          DELETE FROM sent WHERE device = OLD.key;
          RETURN NULL;
        END $$;
        CREATE TRIGGER sent_goes AFTER DELETE ON device FOR EACH ROW EXECUTE FUNCTION drop_sent();
        """))
}
