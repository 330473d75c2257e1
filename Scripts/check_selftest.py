#!/usr/bin/env python3
"""Tries the checks: each must find the fault that it exists for, and nothing in a sound project."""

import sys
import tempfile
from pathlib import Path

import check

TABLE = """
* | Synchronization | |
* | | FoundationNetworking | slow
* | | word:dlopen | past the table
E2ECrypto | WireCodec | Foundation | no system
E2ECrypto | | word:await | a value
RelayServer | Networking | E2ECrypto | cannot read
RelayProtocol | | |
Snippets | ChatSDK | |
Tests | Testing E2ECrypto | |
PublicAPITests | ChatSDK Testing | @testable | outsider
"""
ARTICLE = "# A\n<!-- Snippets/QuickStart.swift show -->\n```swift\ntry await run()\n```\n"
QUICK = "import ChatSDK\n// snippet.show\ntry await run()\n// snippet.hide\n"
README = "# Kin\n[model](docs/threat-model.md) `Sources/E2ECrypto/`\n<!-- Snippets/QuickStart.swift -->\n```swift\nimport ChatSDK\n\ntry await run()\n```\n[wire](docs/protocol.md)\n"
WIRE = """
| GET | `/livez` | a |

| Type | Frame |
|---|---|
| 1 | authenticate |
| 129 | ready |

| 4000 | broken |
| 1 | `invalid_request` | 400 |
"""
SOUND = {
    "README.md": README,
    "Scripts/imports.txt": TABLE,
    "Snippets/QuickStart.swift": QUICK,
    "Sources/E2ECrypto/Group.swift": "public import WireCodec\nimport Synchronization\n// import Foundation\nlet a = \"import Foundation\"\n",
    "Sources/RelayServer/Relay.swift": "package import Networking\n",
    "Tests/E2ECryptoTests/GroupTests.swift":
        "import Testing\n@testable import E2ECrypto\nstruct GroupTests {\n  @Test(arguments: [#\"{\"a\":1}\"#]) func joins() {}\n}\n",
    "docs/protocol.md": WIRE,
    "Sources/RelayProtocol/Routes.swift": "static let live = Route(.get, \"/livez\", .none)\n",
    "Sources/RelayProtocol/RelayCode.swift": "static let invalidRequest = RelayCode(\"invalid_request\", 1, 400)\n",
    "Sources/RelayProtocol/CloseCode.swift": "static let violation = CloseCode(number: 4000, remedy: .giveUp)\n",
    "Sources/RelayProtocol/ClientFrame.swift": "    case 1:\n      self = .authenticate\n",
    "Sources/RelayProtocol/RelayFrame.swift": "    case 129:\n      self = .ready\n",
    "docs/threat-model.md": "| 1 | ghost | covered | `GroupTests/joins` |\n| 2 | swap | open | |\n",
}
# What is changed in the sound project, which check must speak, and a word that it must say.
FAULTS = [
    ("imports", "Sources/RelayServer/Relay.swift", "import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "public import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "package import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "internal import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "@testable import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "@preconcurrency @testable private import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "@_spi(Inside) import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "import struct E2ECrypto.Group\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "import Networking; import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "#if DEBUG\n  import E2ECrypto\n#endif\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "/* a */ import E2ECrypto\n", "cannot read"),
    ("imports", "Sources/RelayServer/Relay.swift", "import FoundationNetworking\n", "slow"),
    ("imports", "Sources/RelayServer/Relay.swift", "import Storage\n", "may not import Storage"),
    ("imports", "Sources/RelayServer/Relay.swift", "let f = dlopen(nil, 0)\n", "past the table"),
    ("imports", "Sources/E2ECrypto/Group.swift", "import Foundation\n", "no system"),
    ("imports", "Sources/E2ECrypto/Group.swift", "let a = await b\n", "a value"),
    ("imports", "Sources/Nowhere/A.swift", "let a = 1\n", "no row for Nowhere"),
    ("imports", "Snippets/QuickStart.swift", "import Networking\n", "may not import Networking"),
    ("imports", "Tests/PublicAPITests/A.swift", "@testable import ChatSDK\n", "outsider"),
    ("imports", "Tests/E2ECryptoTests/GroupTests.swift", "import FoundationNetworking\n", "slow"),
    ("imports", "Scripts/imports.txt", TABLE + "ChatSDK | | RelayServer |\n", "go together"),
    ("length", "Sources/E2ECrypto/Long.swift", "\n" * 401, "401 lines"),
    ("traps", "Sources/E2ECrypto/Group.swift", "let a = try! b()\n", "a trap"),
    ("traps", "Sources/E2ECrypto/Group.swift", "fatalError(\"so\")\n", "a trap"),
    ("paths", "README.md", README + "`Sources/Gone/`\n", "Sources/Gone"),
    ("paths", "README.md", README + "`Sources/E2ECrypto/Gone.swift`\n", "Gone.swift"),
    ("paths", "README.md", README + "[a](docs/gone.md)\n", "docs/gone.md"),
    ("paths", "README.md", README + "[a](docs/threat-model.md#gone)\n", "#gone"),
    ("paths", "docs/lonely.md", "# Lonely\n", "no chain of links"),
    ("quickstart", "README.md", README.replace("await run", "await walk"), "not what"),
    ("quickstart", "Snippets/QuickStart.swift", "import ChatSDK\n", "markers"),
    ("quickstart", "Snippets/QuickStart.swift", QUICK.replace("try await run()\n", "let a = 1\n" * 11), "ten are promised"),
    ("articles", "Sources/E2ECrypto/E2ECrypto.docc/A.md", ARTICLE.replace("await", "wait"), "not what"),
    ("articles", "Sources/E2ECrypto/E2ECrypto.docc/A.md", ARTICLE.replace(" show", " gone"), "no part gone"),
    ("wire", "docs/protocol.md", WIRE.replace("/livez", "/alive"), "GET /livez is missing"),
    ("wire", "docs/protocol.md", WIRE + "| PUT | `/v1/gone` | a |\n", "PUT /v1/gone is not in"),
    ("wire", "docs/protocol.md", WIRE.replace("| 400", "| 401"), "invalid_request"),
    ("wire", "docs/protocol.md", WIRE.replace("4000", "4001"), "close code 4000 is missing"),
    ("wire", "docs/protocol.md", WIRE.replace("| 129 | ready |\n", ""), "frame 129 is missing"),
    ("wire", "Sources/RelayProtocol/CloseCode.swift", "", "reads it no longer"),
    ("citations", "docs/threat-model.md", "| 1 | ghost | covered | `GroupTests/leaves` |\n", "no test GroupTests/leaves"),
    ("citations", "docs/threat-model.md", "| 1 | ghost | covered | |\n", "names 0 tests"),
    ("hygiene", "README.md", README + "see /home/somebody/kin\n", "machine"),
    ("hygiene", "README.md", README + "AKIA" + "A" * 16 + "\n", "secret"),
    ("hygiene", "deploy/server.key", "x\n", "does not belong"),
    ("hygiene", "Sources/E2ECrypto/Group.swift", "// TODO: think\n", "undone"),
]


def findings(changes, names):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in (SOUND | changes).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return [finding for name in names for finding in check.CHECKS[name](root)]


def main():
    wrong = [f"a sound project is accused: {finding}" for finding in findings({}, check.CHECKS)]
    for name, file, text, word in FAULTS:
        found = findings({file: text}, [name])
        if not any(word in finding for finding in found):
            wrong.append(f"{name} does not see {text[:60]!r} in {file}; it found {found}")
    print("\n".join(wrong) if wrong else f"{len(FAULTS)} faults were found, and none where there is none")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
