#!/usr/bin/env python3
"""How far each step of growth goes: the table in docs/operations.md, from what was measured.

    python3 Scripts/growth.py             prints the tables
    python3 Scripts/growth.py --write     takes the measured inputs from docs/performance.md, by the names of its rows, and
                                          writes inputs and results into docs/operations.md
    python3 Scripts/growth.py --check     ends with 1 if the page's results are not what its inputs give

All inputs stand in the page, between `<!-- growth inputs -->` and `<!-- end -->`; nothing is known here but the formulas.
"""
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/operations.md"
MEASURED = ROOT / "docs/performance.md"
UNITS = {"k": 1e3, "M": 1e6, "": 1.0}


def number(text):
    """`1.37M`, `45.7 µs` or `15.64 KB` as a number of its unit."""
    match = re.match(r"([0-9][0-9.,]*)\s*([kM]?)", text.strip())
    if not match:
        raise SystemExit(f"growth: not a number: {text!r}")
    return float(match[1].replace(",", "")) * UNITS[match[2]]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def section(text, name):
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.S)
    if not match:
        raise SystemExit(f"growth: docs/operations.md has no section '{name}'")
    return match


def inputs(text):
    """The rows of the table of inputs: name, value as it stands, where it is from."""
    rows = [cells(line) for line in section(text, "growth inputs")[1].splitlines() if line.startswith("| `")]
    return [(row[0].strip("`"), row[1], row[2]) for row in rows]


def refreshed(rows):
    """The same with what docs/performance.md measured; a row that it lacks keeps its value."""
    measured = {}
    for line in MEASURED.read_text().splitlines():
        if line.startswith("| "):
            row = cells(line)
            if len(row) > 1 and row[1] and not row[1].startswith("not measured"):
                measured[row[0]] = row[1]
    result = []
    for name, value, source in rows:
        match = re.match(r"row `(.*)`$", source)
        result.append((name, measured.get(match[1], value) if match else value, source))
    return result


def inputs_table(rows):
    return "| Input | Value | From |\n|---|---|---|\n" + "".join(
        f"| `{name}` | {value} | {source} |\n" for name, value, source in rows
    )


def rounded(value):
    """Two digits: more would say more than is known."""
    if value <= 0:
        return "0"
    digits = max(0, int(math.floor(math.log10(value))) - 1)
    return f"{int(value / 10**digits + 0.5) * 10**digits:,}"


def results_table(rows):
    x = {name: number(value) for name, value, _ in rows}
    # Traffic of one connected person in the busiest hour.
    sends = x["messages"] / 3600
    deliveries = sends * (x["room"] - 1)
    part = x["load"] / 100

    def step(name, nodes, cores, memory, store, servers, tls):
        per_delivery = 1e6 / x["deliveries_tls" if tls else "deliveries"]
        # Another node reads each entry that somebody there follows, and that costs it about what a send costs.
        per_send = x["send"] + (nodes - 1) * x["send"]
        total_cores = nodes * cores * (x["loops"] if cores > 1 else 1)
        bounds = {
            "processors": part * total_cores * 1e6 / (sends * per_send + deliveries * per_delivery),
            "store": part * x[store] * servers / sends,
            "memory": nodes * (memory - x["base"]) * 2**20 / (1000 * x["connection_tls" if tls else "connection"]),
        }
        if nodes > 1:
            # Each send is a wake-up at most, and each node has its own beat besides.
            beat = 20 + 2 + 12 / x["lease"]
            bounds["Redis"] = (part * x["redis"] - nodes * beat) / sends
        least = min(bounds, key=bounds.get)
        users = bounds[least]
        connections = "" if store == "sqlite" else f"{int(nodes * (2 * x['writers'] + x['readers']))}"
        commands = "" if nodes == 1 else rounded(min(users * sends / nodes, x["redis"]) + 20 + 2 + 12 / x["lease"])
        return (
            f"| {name} | {rounded(users)} | {rounded(users * sends)} | {rounded(users * deliveries)} | {least} "
            f"| {connections} | {commands} |\n"
        )

    table = (
        "| Step | People connected | Messages a second | Deliveries a second | Bound by | PostgreSQL connections "
        "| Redis commands a second and node |\n|---|---|---|---|---|---|---|\n"
    )
    table += step("one box: 1 core, 1 GB, SQLite, TLS in the relay", 1, 1, 1024, "sqlite", 1, True)
    table += step("a bigger box: 8 cores, 16 GB, SQLite, TLS in the relay", 1, 8, 16384, "sqlite", 1, True)
    table += step("three relays of 4 cores, 8 GB, one PostgreSQL, nginx", 3, 4, 8192, "postgres", 1, False)
    table += step("the same with fuller batches", 3, 4, 8192, "postgres_busy", 1, False)
    table += step("eight relays, PostgreSQL partitioned over 4 servers", 8, 4, 8192, "postgres_busy", 4, False)
    table += step("sixteen relays, PostgreSQL sharded over 16 servers", 16, 4, 8192, "postgres_busy", 16, False)
    return table


def main():
    text = PAGE.read_text()
    rows = inputs(text)
    if "--write" in sys.argv[1:]:
        rows = refreshed(rows)
        for name, table in [("growth inputs", inputs_table(rows)), ("growth", results_table(rows))]:
            match = section(text, name)
            text = text[: match.start(1)] + table + text[match.end(1) :]
        PAGE.write_text(text)
    elif "--check" in sys.argv[1:]:
        if section(text, "growth")[1] != results_table(rows):
            raise SystemExit("growth: docs/operations.md: run Scripts/growth.py --write")
    else:
        print(inputs_table(rows))
        print(results_table(rows), end="")


if __name__ == "__main__":
    main()
