import BenchKit
import Glibc

/// A relay in a process of its own, with a folder that goes with it.
struct BenchRelay: ~Copyable {
  let child: Child
  let folder: String
  let port: UInt16

  private let scheme: String

  init(_ arguments: [String] = [], scheme: String = "http") throws {
    var template = Array("/tmp/kin-bench.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Child.Failed(what: "mkdtemp") }
    let made = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let output = made + "/out"
    let relay = try Child(
      "relay-server", ["--listen", "127.0.0.1:0", "--data", made + "/relay"] + arguments, output: output)
    guard let found = Child.port(from: output) else { throw Child.Failed(what: "the relay did not come up") }
    self.scheme = scheme
    child = relay
    folder = made
    port = found
  }

  var url: String { "\(scheme)://127.0.0.1:\(port)" }

  consuming func stop() {
    let folder = folder
    child.stop()
    guard folder.hasPrefix("/tmp/kin-bench.") else { return }
    try? Child("/bin/rm", ["-rf", folder]).succeed()
  }
}
