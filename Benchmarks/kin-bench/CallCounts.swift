import BenchKit
import Glibc

/// What a relay's process has called so far, counted by a library that is preloaded into it (Benchmarks/counting).
final class CallCounts: Sendable {
  enum Kind: Int, CaseIterable { case allocations, sends, receives, polls, wakes, fileWrites, syncs }

  private let folder: Folder
  private let library: String

  /// `nil` where the library could not be built.
  init?() throws {
    guard let library = getenv("KIN_BENCH_COUNTING") else { return nil }
    self.library = String(cString: library)
    folder = try Folder()
    try folder.write("calls", String(repeating: " ", count: 8 * Kind.allCases.count))
    // All zero from the start.
    let file = open(folder.path + "/calls", O_RDWR)
    defer { close(file) }
    let zeros = [UInt64](repeating: 0, count: Kind.allCases.count)
    guard zeros.withUnsafeBytes({ pwrite(file, $0.baseAddress, $0.count, 0) }) > 0 else {
      throw Child.Failed(what: "cannot write the counts")
    }
  }

  var environment: [String] { ["LD_PRELOAD=\(library)", "KIN_BENCH_CALLS=\(folder.path)/calls"] }

  /// The counts now.
  func read() -> [Kind: Double] {
    var counts = [UInt64](repeating: 0, count: Kind.allCases.count)
    let file = open(folder.path + "/calls", O_RDONLY)
    defer { close(file) }
    _ = counts.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, 0) }
    return Dictionary(uniqueKeysWithValues: Kind.allCases.map { ($0, Double(counts[$0.rawValue])) })
  }
}
