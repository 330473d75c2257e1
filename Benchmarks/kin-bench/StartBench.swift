import BenchKit
import Glibc

/// What a cold command costs, step by step: starting, opening the store, reaching the relay, sending.
enum StartBench {
  static func run() async throws {
    let relay = try await BenchRelay()
    let folder = relay.folder.path
    let password = folder + "/password"
    guard let file = fopen(password, "w") else { throw Child.Failed(what: "password file") }
    fputs("a password of the benchmark\n", file)
    fclose(file)
    let data = ["--data", folder + "/alice"]
    try Child(
      "chat-cli",
      ["register", "alice", "--relay", relay.url, "--key-file", folder + "/key", "--password-file", password] + data
    ).succeed()
    try Child("chat-cli", ["room", "create", "Garden"] + data).succeed()

    header("command", "wall ms, median", "what it adds")
    let steps: [([String], String)] = [
      (["--version"], "starting the program"),
      (["whoami"] + data, "opening the store with a key file"),
      (["rooms"] + data, "asking the relay what is new"),
      (["send", "Garden", "hello"] + data, "sealing, storing and sending a message, durable at the relay"),
    ]
    for (words, what) in steps {
      let time = try Timing.median(samples: 9, budget: .milliseconds(1)) { try Child("chat-cli", words).succeed() }
      row(
        "`chat-cli \(words.filter { !$0.hasPrefix("/") && $0 != "--data" }.joined(separator: " "))`", fixed(time / 1e6),
        what)
    }
    relay.stop()
  }
}
