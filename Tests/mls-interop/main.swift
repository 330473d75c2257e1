import Glibc

// One MLS client, driven by JSON lines: see README.md beside this file.

var reloads = false
for option in CommandLine.arguments.dropFirst() {
  guard option == "--reload" else {
    let usage = "usage: mls-interop [--reload]\n  reads calls from standard input, a JSON object a line\n"
    _ = writeAll(Array(usage.utf8), to: STDERR_FILENO)
    exit(1)
  }
  reloads = true
}

let service = Service(client: Client(reloads: reloads))
var input = InputLines()
while let line = input.next() {
  guard writeAll(service.answer(line) + [UInt8(ascii: "\n")]) else { exit(1) }
}
