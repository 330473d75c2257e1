"""Prints what a relay's database holds for the first application message, as a hex dump."""

import pathlib
import sqlite3
import sys


def main() -> int:
    database = next(pathlib.Path(sys.argv[1]).glob("*.db"))
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    row = connection.execute(
        "SELECT room.id, sequence, entry.epoch, time, message FROM entry JOIN room ON room.key = entry.room"
        " WHERE kind = 1 ORDER BY sequence LIMIT 1"
    ).fetchone()
    if row is None:
        print("no message is stored", file=sys.stderr)
        return 1
    room, sequence, epoch, time, message = row
    print(f"room {room.hex()}  entry {sequence}  epoch {epoch}  time {time}  {len(message)} bytes:")
    for offset in range(0, min(len(message), 128), 16):
        line = message[offset : offset + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        print(f"  {offset:04x}  {line.hex(' '):<47}  {text}")
    print(f"  ... and {max(0, len(message) - 128)} bytes more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
