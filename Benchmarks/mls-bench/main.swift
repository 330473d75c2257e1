import BenchKit
import Glibc

/// Measures the crypto core alone, so that nothing else has to be built for it.
let words = Array(CommandLine.arguments.dropFirst())
switch words.first {
case "op": try Operation.run(Array(words.dropFirst()))
case "holding" where words.count == 3: try MemoryBench.hold(words[1], words[2])
default:
  guard words.allSatisfy({ word in MLSBench.parts.contains { $0.name == word } }) else {
    print("usage: mls-bench [PART ...] or mls-bench op NAME COUNT [SUITE]")
    for part in MLSBench.parts { print("  \(part.name)  \(part.title)") }
    exit(1)
  }
  try MLSBench.run(words)
}
