import Glibc

/// One thing to fuzz: it takes any bytes, and ends the process if anything is wrong.
struct Target: Sendable {
  let name: String
  let run: @Sendable ([UInt8]) -> Void
  /// Inputs to begin with, made from groups and messages of our own.
  let seeds: @Sendable () throws -> [Seed]

  struct Seed: Sendable {
    let name: String
    let bytes: [UInt8]
  }

  /// The one that this process runs. Set once, before libFuzzer starts; it calls from one thread.
  nonisolated(unsafe) static var chosen: Target?

  static let all: [Target] = [decode, group, joiner, content, http1, websocket, frames, token, issuer, sdk]
}

/// Ends the process, and so the run, with the input kept, unless `condition` holds.
func require(
  _ condition: @autoclosure () throws -> Bool, _ text: @autoclosure () -> String, file: StaticString = #fileID,
  line: UInt = #line
) {
  do {
    if try condition() { return }
    found("\(text())", file: file, line: line)
  } catch {
    found("\(text()): \(error)", file: file, line: line)
  }
}

func found(_ text: String, file: StaticString = #fileID, line: UInt = #line) -> Never {
  complain("FOUND: \(text) (\(file):\(line))")
  abort()
}

/// Writes a line for people.
func complain(_ text: String) {
  let line = Array("\(text)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
}

/// Writes each target's seeds into a folder of its name.
func writeCorpus(in folder: String) throws {
  for target in Target.all {
    let path = "\(folder)/\(target.name)"
    mkdir(path, 0o755)
    var seen: Set<[UInt8]> = []
    for seed in try target.seeds() {
      guard seen.insert(seed.bytes).inserted else { found("\(path)/\(seed.name) is a seed twice") }
      guard let file = fopen("\(path)/\(seed.name)", "wb") else { found("cannot write \(path)/\(seed.name)") }
      fwrite(seed.bytes, 1, seed.bytes.count, file)
      fclose(file)
      // A seed that its own target refuses is no seed.
      target.run(seed.bytes)
    }
  }
}
