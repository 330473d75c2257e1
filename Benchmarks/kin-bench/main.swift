import BenchKit
import Glibc

/// Measures Kin beside the primitives it stands on and beside its peers, all in the same run.
/// Absolute times drift with the machine: read the ratios.
let topics: [(String, String, @Sendable () async throws -> Void)] = [
  ("store", "durable messages on SQLite beside bare inserts", { try await StoreBench.run() }),
  ("relay", "fan-out, latency, memory of idle sockets, durable sends", { try await RelayBench.run() }),
  ("start", "chat-cli from cold: --version and send", { try await StartBench.run() }),
]

let words = CommandLine.arguments.dropFirst().filter { !$0.hasPrefix("-") }
let chosen = words.isEmpty ? topics : topics.filter { words.contains($0.0) }
guard !chosen.isEmpty else {
  print("usage: kin-bench [TOPIC ...]")
  for topic in topics { print("  \(topic.0)  \(topic.1)") }
  exit(1)
}
Machine.describe()
for topic in chosen {
  print("\n## \(topic.0): \(topic.1)\n")
  try await topic.2()
}
