import BenchKit
import CryptoPrimitives
import E2ECrypto

/// The budgets of the default suite, each beside what the operation took in the same turns.
struct BudgetTable {
  private let sign = Unit.sign(100, "S")
  private let verify = Unit.verify(100, "V")
  private let agree = Unit.agreement("D")
  private let base = Unit.base("B")
  private let suite = Fixture.suite3
  private var over = 0

  /// Prints the table. Returns how many rows are over their budget.
  static func print() throws -> Int {
    var table = BudgetTable()
    try table.run()
    return table.over
  }

  private mutating func run() throws {
    let units = [sign, verify, agree, base].map { unit in
      "\(unit.name) = \(fixed((0..<9).map { _ in unit.sample() }.median / 1000, 2))"
    }
    Swift.print(
      "Microseconds of processor time; on two cores, of the clock. Units, from libsodium on bare memory: \(units.joined(separator: ", ")) µs "
        + "(Ed25519 sign and verify of 100 B, X25519 with a key, with the base point).\n")
    header("operation", "measured µs", "budget", "budget µs", "of the budget", "")
    try messages()
    try hpke()
    try groups(1_000, on: Fixture.onOneCore, "", share: 1)
    try groups(1_000, on: Fixture.onTwoCores, ", two cores", share: 0.75)
    try fullTree(1_000)
    try memory(10_000)
  }

  // MARK: Messages

  private mutating func messages() throws {
    let short = try Fixture.Pair(suite)
    let content = Random.bytes(100)
    add("protect 100 B", "1.4 S", try .repeating([(1.4, sign)]) { _ = try short.alice.group.protect(content) })
    add("unprotect 100 B", "1.15 V", try unprotect([(1.15, verify)], content, each: 40))

    let long = Random.bytes(65_536)
    let (signLong, verifyLong) = (Unit.sign(long.count, "sign"), Unit.verify(long.count, "verify"))
    let cipher = Unit.cipher(long.count, "AEAD")
    let pair = try Fixture.Pair(suite)
    add(
      "protect 64 KiB", "1.3 (sign it + AEAD)",
      try .repeating([(1.3, signLong), (1.3, cipher)]) { _ = try pair.alice.group.protect(long) })
    add(
      "unprotect 64 KiB", "1.3 (verify it + AEAD)",
      try unprotect([(1.3, verifyLong), (1.3, cipher)], long, each: 10))
  }

  /// Messages are sealed beforehand, so that only reading them is timed; each can be read once.
  private func unprotect(_ budget: Paired.Budget, _ content: [UInt8], each count: Int) throws -> Paired {
    let pair = try Fixture.Pair(suite)
    return try Paired(samples: 31, budget: budget) {
      let messages = try pair.sealed(count, content)
      return try Processor.time { for message in messages { _ = try pair.bob.group.receive(message) } } / Double(count)
    }
  }

  private mutating func hpke() throws {
    let hpke = try suite.algorithms().hpke
    let key = HPKEPrivateKey.generate(hpke.kem)
    let plaintext = Random.bytes(32)
    let sealed = try hpke.seal(to: key.publicKey, plaintext: plaintext)
    add(
      "HPKE seal 32 B", "1.15 (B + D)",
      try .repeating([(1.15, base), (1.15, agree)]) { _ = try hpke.seal(to: key.publicKey, plaintext: plaintext) })
    add(
      "HPKE open 32 B", "1.15 D",
      try .repeating([(1.15, agree)]) {
        _ = try hpke.open(sealed.ciphertext, kemOutput: sealed.kemOutput, with: key)
      })
  }

  // MARK: Groups

  private mutating func groups(_ count: Int, on policy: GroupPolicy, _ how: String, share: Double) throws {
    let people = try Fixture.people(1..<count, suite)
    let packages = people.map(\.bundle.keyPackage.message)
    let of = share == 1 ? "" : "\(fixed(share, 2)) × "
    let added = 1.25 * share * Double(count - 1)
    // With a second core it is time on the clock that has to shrink.
    let clock = share == 1 ? Processor.time : Timing.elapsed
    let create = try Paired(samples: 5, budget: [(2 * added, verify), (added, base), (added, agree)]) {
      // Key packages are read anew for each sample, so that nothing remembered about one helps the next.
      let adds = try packages.map { Proposal.add(try KeyPackage(message: $0)) }
      return try clock { _ = try Fixture.creator(suite, policy: policy).commit(adds, path: false) }
    }
    add(
      "create a group of \(comma(count)) by one commit\(how)", "\(of)1.25 × \(count - 1) (2 V + B + D)", create)

    let fresh = try Fixture.Fresh(people, suite)
    let join = try Paired(samples: 7, budget: [(1.25 * share * Double(count), verify)]) {
      try clock { _ = try fresh.joinLast(policy: policy) }
    }
    add("join it from the Welcome\(how)", "\(of)1.25 × \(comma(count)) V", join)
  }

  private mutating func fullTree(_ count: Int) throws {
    let full = try Fixture.Full(count, suite)
    // Leaf 0 has a level above it for each doubling, and in a full tree one key to seal to on each.
    let levels = Double((count - 1).bitWidth - (count - 1).leadingZeroBitCount)
    let commit = Operation.committing(full.first)
    add(
      "commit at \(comma(count)), full tree", "1.3 (\(Int(levels) + 1) B + \(Int(levels)) (B + D) + 2 S)",
      try .repeating([(1.3 * (2 * levels + 1), base), (1.3 * levels, agree), (2.6, sign)], commit))
    let message = try full.first.commit(path: true).message
    for (who, member) in [("the next leaf", full.second), ("the last leaf", full.last)] {
      add(
        "process it, by \(who)", "40 D", try .repeating([(40, agree)], try Operation.processing(message, by: member)))
    }
  }

  // MARK: Memory

  private mutating func memory(_ count: Int) throws {
    let figures = try MemoryBench.measure(count, suite)
    let budget = 1.5 * Double(figures.tree) + Double(32 << 20)
    for (what, bytes) in [("restored", figures.restored), ("joined", figures.joined)] {
      print(
        "memory of a process with a group of \(comma(count)), \(what)", mebibytes(Double(bytes)) + " MiB",
        "1.5 × \(mebibytes(Double(figures.tree))) MiB of tree + 32 MiB", mebibytes(budget) + " MiB",
        Double(bytes) / budget)
    }
  }

  // MARK: Rows

  private mutating func add(_ operation: String, _ formula: String, _ paired: Paired) {
    print(operation, micro(paired.time), formula, micro(paired.budget), paired.ratio)
  }

  private mutating func print(
    _ operation: String, _ measured: String, _ formula: String, _ budget: String, _ ratio: Double
  ) {
    if ratio > 1 { over += 1 }
    row(operation, measured, formula, budget, fixed(ratio, 2), ratio > 1 ? "**over**" : "OK")
  }
}

/// Microseconds, with a digit after the point where it says something.
func micro(_ nanoseconds: Double) -> String {
  nanoseconds < 1e6 ? fixed(nanoseconds / 1000) : comma(Int(nanoseconds / 1000))
}

func mebibytes(_ bytes: Double) -> String { fixed(bytes / Double(1 << 20)) }

/// A number with its thousands apart.
func comma(_ number: Int) -> String {
  let digits = String(number)
  var text = ""
  for (place, digit) in digits.enumerated() {
    if place > 0, (digits.count - place).isMultiple(of: 3) { text += "," }
    text.append(digit)
  }
  return text
}
