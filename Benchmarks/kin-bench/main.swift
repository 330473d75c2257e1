import BenchKit
import Glibc

/// Measures Kin beside the primitives it stands on and beside its peers, all in the same run.
/// Absolute times drift with the machine: read the ratios.
var words = Array(CommandLine.arguments.dropFirst())
var store = StoreKind.sqlite
if let place = words.firstIndex(of: "--store") {
  guard place + 1 < words.count, let kind = StoreKind(rawValue: words[place + 1]) else { usage() }
  store = kind
  words.removeSubrange(place...(place + 1))
}

func usage() -> Never {
  print("usage: kin-bench [store | relay [PART ...] | start] [--store sqlite | postgres]\n\nParts of relay:")
  for part in RelayBench.parts { print("  \(part.name)  \(part.what)") }
  exit(1)
}

switch words.first {
case "hold" where words.count == 4 || words.count == 5: try await Holders.hold(Array(words.dropFirst()))
case "follow" where words.count == 3: try await Follower.follow(file: words[1], count: Int(words[2]) ?? 0)
case nil, "store", "relay", "start":
  let parts = Array(words.dropFirst())
  guard parts.allSatisfy({ part in RelayBench.parts.contains { $0.name == part } }) else { usage() }
  guard parts.isEmpty || words.first == "relay" else { usage() }
  Machine.describe()
  raiseLimits()
  if words.isEmpty || words.first == "store" {
    print("\n## store: durable messages, beside bare inserts\n")
    try await StoreBench.run(store)
  }
  if words.isEmpty || words.first == "relay" {
    print("\n## relay, on \(store.name)\n")
    try await RelayBench.run(parts, store: store)
  }
  if words.isEmpty || words.first == "start" {
    print("\n## start: chat-cli from cold\n")
    try await StartBench.run()
  }
default: usage()
}

/// Tens of thousands of sockets are held, here and by the children.
func raiseLimits() {
  var limit = rlimit(rlim_cur: 65_536, rlim_max: 65_536)
  if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { return }
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  limit.rlim_cur = limit.rlim_max
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
