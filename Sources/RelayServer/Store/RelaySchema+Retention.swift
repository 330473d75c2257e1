import Storage

extension RelaySchema {
  static let retention = Step(
    sqlite: Migration(
      up: """
        ALTER TABLE room ADD COLUMN retention INTEGER CHECK (retention > 0);
        ALTER TABLE room ADD COLUMN swept INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE room ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE room ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
        """,
      down: """
        ALTER TABLE room DROP COLUMN bytes;
        ALTER TABLE room DROP COLUMN counted;
        ALTER TABLE room DROP COLUMN swept;
        ALTER TABLE room DROP COLUMN retention;
        """),
    postgres: Migration(
      up: """
        ALTER TABLE room ADD COLUMN retention bigint CHECK (retention > 0);
        ALTER TABLE room ADD COLUMN swept bigint NOT NULL DEFAULT 0;
        ALTER TABLE room ADD COLUMN counted bigint NOT NULL DEFAULT 0;
        ALTER TABLE room ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
        """,
      down: """
        ALTER TABLE room DROP COLUMN bytes;
        ALTER TABLE room DROP COLUMN counted;
        ALTER TABLE room DROP COLUMN swept;
        ALTER TABLE room DROP COLUMN retention;
        """))
}
