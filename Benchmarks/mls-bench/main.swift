import BenchKit
import Glibc

/// Measures the crypto core alone, so that nothing else has to be built for it.
let words = Array(CommandLine.arguments.dropFirst())
switch words.first {
case "op": try Operation.run(Array(words.dropFirst()))
case "holding": try MemoryBench.hold(words[1], words[2])
case nil:
  Machine.describe()
  try MLSBench.run()
default:
  print("usage: mls-bench [op NAME COUNT [SUITE]]")
  exit(1)
}
