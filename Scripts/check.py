#!/usr/bin/env python3
"""The checks that need more than a shell line. Each takes a root folder and yields findings; none means well.

usage: check.py imports|length|traps|paths|quickstart|articles|wire|citations|hygiene
"""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path


def files(root, *suffixes, under=("",)):
    """The project's own files: what git would commit, or all where there is no git (as in the self-test)."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if listing.returncode == 0 and (root / ".git").exists():
        names = listing.stdout.splitlines()
    else:
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    for name in sorted(set(names)):
        if (not suffixes or name.endswith(suffixes)) and name.startswith(under) and (root / name).is_file():
            yield name


def read(root, name):
    return (root / name).read_text(encoding="utf-8", errors="replace")


# Comments, and string literals where a word check must not trip over them.
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
STRING = re.compile(r'(#+)"(?:.*?)"\1|"""(?:.*?)"""|"(?:\\.|[^"\\\n])*"', re.S)


def blank(match):
    """Keeps line numbers."""
    return re.sub(r"[^\n]", " ", match.group(0))


def code_only(text):
    return COMMENT.sub(blank, STRING.sub(blank, text))


# --- imports

IMPORT = re.compile(
    r"^[ \t]*((?:@\w+(?:\([^)]*\))?\s+)*)"
    r"(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+"
    r"(?:(?:typealias|struct|class|enum|protocol|let|var|func|actor|macro)\s+)?([A-Za-z_]\w*)", re.M)


class Table:
    """Scripts/imports.txt."""

    def __init__(self, text):
        self.may, self.never, self.errors = {}, {}, []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            columns = [column.strip() for column in line.split("|")]
            if len(columns) != 4 or not columns[0]:
                self.errors.append(f"Scripts/imports.txt:{number}: a row has four columns")
                continue
            room, may, never, because = columns
            if bool(never) != bool(because):
                self.errors.append(f"Scripts/imports.txt:{number}: a ban and its reason go together")
            self.may.setdefault(room, set()).update(may.split())
            for name in never.split():
                self.never.setdefault(room, {})[name] = because

    def allowed(self, rooms):
        return set().union(*(self.may.get(room, set()) for room in rooms))

    def banned(self, rooms):
        return {name: why for room in rooms for name, why in self.never.get(room, {}).items()}


def rooms_of(name, table):
    """The room of a file, and the rows that hold for it."""
    parts = name.split("/")
    if parts[0] == "Snippets":
        return "Snippets", ["*", "Snippets"]
    room = parts[1]
    if parts[0] == "Tests":
        return room, ["*", room] if room in table.may else ["*", "Tests"]
    return room, ["*", room]


def imports(root):
    table = Table(read(root, "Scripts/imports.txt"))
    yield from table.errors
    for name in files(root, ".swift", under=("Sources/", "Tests/", "Snippets/", "Benchmarks/", "Fuzz/")):
        room, rows = rooms_of(name, table)
        if room not in table.may and room not in ("Snippets",) and not name.startswith("Tests/"):
            yield f"{name}: Scripts/imports.txt has no row for {room}"
            continue
        allowed, banned = table.allowed(rows), table.banned(rows)
        code = code_only(read(root, name)).replace(";", "\n ")
        for match in IMPORT.finditer(code):
            attributes, module = match.groups()
            line = code.count("\n", 0, match.start(2)) + 1
            if module in banned:
                yield f"{name}:{line}: {room} never imports {module}: {banned[module]}"
            elif module not in allowed:
                yield f"{name}:{line}: {room} may not import {module}"
            if "@testable" in attributes and "@testable" in banned:
                yield f"{name}:{line}: {room} never uses @testable: {banned['@testable']}"
        for word, why in banned.items():
            if not word.startswith("word:"):
                continue
            word = word.removeprefix("word:")
            for match in re.finditer(rf"(?<![\w@.]){re.escape(word)}(?!\w)", code):
                yield f"{name}:{code.count(chr(10), 0, match.start()) + 1}: {room} never says {word}: {why}"


# --- length

def length(root, most=400):
    for name in files(root, ".swift", ".py", ".h", under=("Sources/", "Tests/", "Snippets/", "Benchmarks/", "Fuzz/", "Scripts/")):
        lines = read(root, name).splitlines()
        reason = any(re.match(r"\s*(//|#) Long because \S", line) for line in lines[:15])
        if len(lines) > most and not reason:
            yield f"{name}: {len(lines)} lines; split it by idea, or say at its top `// Long because …`"


# --- traps

# A precondition that says what it asks needs no more; the others end the process and must say why that is right.
TRAP = re.compile(r"\b(?:fatalError|preconditionFailure|assertionFailure)\s*\(|\btry!|\bas!")


def traps(root):
    for name in files(root, ".swift", under=("Sources/",)):
        text = read(root, name)
        lines = text.splitlines()
        for number, line in enumerate(code_only(text).splitlines(), 1):
            if not TRAP.search(line):
                continue
            # The reason stands on the line, or in the comment above it or above the declaration around it.
            above = " ".join(lines[max(0, number - 8):number])
            if not re.search(r"//", above):
                yield f"{name}:{number}: a trap without a comment that says why nothing from outside can reach it"


# --- paths

TICKED = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.S | re.M)


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def looks_like_path(root, token, folder):
    if not re.fullmatch(r"[A-Za-z0-9_.*+\-/]+", token) or "/" not in token or token.startswith(("/", "-")):
        return False
    first, last = token.split("/")[0], token.rstrip("/").split("/")[-1]
    if first in (".build", "demo-data", ".", ".."):
        return token.startswith("./") and first == "."
    return (root / first).is_dir() or (root / folder / first).is_dir() or re.search(r"\.[a-z]{1,8}$", last) is not None


def exists(root, folder, token):
    return any(next(iter(base.glob(token.rstrip("/"))), None) is not None for base in (root, root / folder))


def paths(root):
    reachable, seen = {"README.md"}, set()
    documents = list(files(root, ".md"))
    links_of = {}
    for name in documents:
        text, folder = read(root, name), Path(name).parent
        links_of[name] = set()
        prose = FENCE.sub(blank, text)
        # A page about one room may write its paths from that room on: `<!-- paths from Sources/Room -->`.
        base = re.search(r"<!-- paths from (\S+) -->", text)
        folder = Path(base.group(1)) if base else folder
        for match in TICKED.finditer(prose):
            token = re.sub(r":\d+$", "", match.group(1))
            if looks_like_path(root, token, folder) and not exists(root, folder, token.removeprefix("./")):
                yield f"{name}:{prose.count(chr(10), 0, match.start()) + 1}: there is no {token}"
        for match in LINK.finditer(TICKED.sub(blank, prose)):
            target, _, anchor = match.group(1).partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            path = (root / Path(name).parent / target).resolve() if target else (root / name).resolve()
            line = prose.count("\n", 0, match.start()) + 1
            if not path.exists():
                yield f"{name}:{line}: the link to {target} leads nowhere"
                continue
            if path.suffix == ".md" and path.is_relative_to(root.resolve()):
                links_of[name].add(str(path.relative_to(root.resolve())))
                headings = re.findall(r"^#+ (.+)$", FENCE.sub(blank, path.read_text()), re.M)
                if anchor and anchor not in map(slug, headings):
                    yield f"{name}:{line}: {target or name} has no heading #{anchor}"
    while reachable - seen:
        name = (reachable - seen).pop()
        seen.add(name)
        reachable |= links_of.get(name, set())
    for name in documents:
        if name not in reachable and ".docc/" not in name and not name.startswith((".github/", "Tests/")):
            yield f"{name}: no chain of links leads here from README.md"


# --- quickstart

def quickstart(root):
    """README.md quotes, between its markers, what stands between the markers of the snippet that the build compiles."""
    snippet_name = "Snippets/QuickStart.swift"
    if not (root / snippet_name).exists():
        yield f"{snippet_name}: missing"
        return
    snippet = re.search(r"^// snippet.show\n(.*?)^// snippet.hide$", read(root, snippet_name), re.S | re.M)
    quoted = re.search(
        r"<!-- Snippets/QuickStart.swift -->\n```swift\n(.*?)^```$", read(root, "README.md"), re.S | re.M)
    if not snippet or not quoted:
        yield f"README.md and {snippet_name}: the markers around the quick start are missing"
        return
    # The import stands above what the snippet shows, and in the quotation.
    if "import ChatSDK\n\n" + snippet.group(1).strip() != quoted.group(1).strip():
        yield f"README.md: the quick start is not what {snippet_name} compiles"
    lines = [line for line in snippet.group(1).splitlines() if line.strip() and line.strip() != "}"]
    if len(lines) > 10:
        yield f"{snippet_name}: {len(lines)} lines of code; ten are promised"


# --- articles

def articles(root):
    """What an article quotes of a snippet, under a comment with its file and slice, is what the build compiles."""
    for name in files(root, ".md", under=("Sources/",)):
        for snippet, part, quoted in re.findall(
            r"^<!-- (Snippets/\w+\.swift) (\w+) -->\n```swift\n(.*?)^```$", read(root, name), re.S | re.M):
            code = read(root, snippet) if (root / snippet).exists() else ""
            found = re.search(rf"^ *// snippet\.{part}\n(.*?)^ *(?:// snippet\.|\Z)", code, re.S | re.M)
            if not found:
                yield f"{name}: {snippet} has no part {part}"
            elif textwrap.dedent(found.group(1)).strip() != quoted.strip():
                yield f"{name}: {part} is not what {snippet} compiles"


# --- wire

def wire(root, document="docs/protocol.md"):
    """The tables of docs/protocol.md hold the routes, codes and frames of Sources/RelayProtocol, and no others."""
    page = read(root, document)
    source = "Sources/RelayProtocol/"
    expected = {
        "route": {f"{method.upper()} {path}" for method, path in re.findall(
            r"= Route\(\s*\.(\w+),\s*\"([^\"]+)\"", read(root, source + "Routes.swift"))},
        "code": set(re.findall(
            r"= RelayCode\(\"(\w+)\", (\d+), (\d+)", read(root, source + "RelayCode.swift"))),
        "close code": set(re.findall(r"= CloseCode\(number: (\d+)", read(root, source + "CloseCode.swift"))),
        "frame": set(re.findall(
            r"^    case (\d+):\s+(?:let|self|guard)", read(root, source + "ClientFrame.swift")
            + read(root, source + "RelayFrame.swift"), re.M)),
    }
    frames = page.partition("| Type | Frame |")[2].partition("\n\n")[0]
    stated = {
        "route": {f"{method} {path}" for method, path in re.findall(r"^\| ([A-Z]+) \| `([^`]+)`", page, re.M)},
        "code": {(text, number, status) for number, text, status in re.findall(
            r"\| (\d+) \| `(\w+)` \| (\d+) (?=\|)", page)},
        "close code": set(re.findall(r"^\| (\d{4}) \|", page, re.M)),
        "frame": set(re.findall(r"^\| (\d+) \|", frames, re.M)),
    }
    for kind, values in expected.items():
        if not values:
            yield f"{source}: no {kind} was found there; this check reads it no longer"
        for value in sorted(values - stated[kind]):
            yield f"{document}: the {kind} {value} is missing"
        for value in sorted(stated[kind] - values):
            yield f"{document}: the {kind} {value} is not in {source}"


# --- citations

def tests(root):
    """Every test as `Suite/function`, the suite being a type around or a file's name."""
    found = set()
    for name in files(root, ".swift", under=("Tests/",)):
        text = code_only(read(root, name))
        suites = [Path(name).stem.split("+")[0]]
        for match in re.finditer(
                r"\b(?:struct|class|actor|enum|extension)\s+([\w.]+)|@Test\b(?:[^{]|\{[^}]*\})*?\bfunc\s+(`[^`]+`|\w+)", text):
            if match.group(1):
                suites.append(match.group(1).split(".")[-1])
            else:
                found.update(f"{suite}/{match.group(2).strip('`')}" for suite in suites)
    return found


def citations(root, document="docs/threat-model.md"):
    if not (root / document).exists():
        yield f"{document}: missing"
        return
    known, text = tests(root), read(root, document)
    for match in re.finditer(r"`(\w+/[^`/]+)`", text):
        if re.match(r"[A-Z]\w*Tests?/", match.group(1)) and match.group(1) not in known:
            yield f"{document}:{text.count(chr(10), 0, match.start()) + 1}: there is no test {match.group(1)}"
    # A class that claims to be covered names what covers it.
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(row) == 4 and row[0].isdigit():
            named = re.findall(r"`\w+/[^`]+`", row[3])
            if (row[2] in ("covered", "partly")) != bool(named):
                yield f"{document}: class {row[0]} is {row[2]!r} and names {len(named)} tests"


# --- hygiene

MACHINE = re.compile(r"(?<![\w.\-$}])/(?:work|farm|root|home/\w+|Users/\w+)/")
SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n?[A-Za-z0-9+/]{20}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bxox[abp]-[0-9]")
UNDONE = re.compile(r"\b(?:TODO|FIXME|XXX)\b")


def hygiene(root):
    for name in files(root):
        if name.endswith((".pem", ".key", ".p12", ".pfx", ".sqlite", ".db", ".orig", ".rej")):
            yield f"{name}: such a file does not belong in the project"
        if (root / name).stat().st_size > 2_000_000 or name in ("Scripts/check.py", "Scripts/check_selftest.py"):
            continue
        text = read(root, name)
        for pattern, finding in ((MACHINE, "one machine's path"), (SECRET, "this looks like a secret"), (UNDONE, "left undone")):
            for match in pattern.finditer(text):
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {finding}"


CHECKS = {check.__name__: check for check in (imports, length, traps, paths, quickstart, articles, wire, citations, hygiene)}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in CHECKS:
        sys.exit(__doc__)
    findings = list(CHECKS[sys.argv[1]](Path(os.path.realpath(__file__)).parent.parent))
    print("\n".join(findings) if findings else "nothing found")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
