import BenchKit
import CryptoPrimitives
import E2ECrypto
import Glibc

/// One operation, so many times, for a profiler: `mls-bench op NAME COUNT [SUITE]`.
///
/// All that is measured runs inside ``measuredOperation(_:)``:
///
///     valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*measuredOperation*' mls-bench op protect 100
///
/// `Benchmarks/instructions` counts instructions of one call, the preparation taken off.
enum Operation {
  typealias Body = () throws -> Void
  typealias Preparation = @Sendable (_ count: Int, _ suite: CipherSuite) throws -> Body

  static let names: [(String, Preparation)] = [
    ("protect", { try protect(100, $1) }),
    ("unprotect", { try unprotect(100, $0, $1) }),
    ("protect64k", { try protect(65_536, $1) }),
    ("unprotect64k", { try unprotect(65_536, $0, $1) }),
    ("hpke-seal", { try sealing($1) }),
    ("hpke-open", { try opening($1) }),
    ("create1000", { try creating(1_000, $1) }),
    ("join1000", { try joining(1_000, $1) }),
    ("commit-fresh1000", { try committingFresh(1_000, $1) }),
    ("process-fresh1000", { try processingFresh(1_000, $1) }),
    ("commit1000full", { try committingFull(1_000, $1) }),
    ("process1000full", { try processingFull(1_000, $1, near: true) }),
    ("process1000far", { try processingFull(1_000, $1, near: false) }),
    ("encode1000", { try encoding(1_000, $1) }),
    ("restore1000", { try restoring(1_000, $1) }),
    ("keypackage", { try keyPackage($1) }),
  ]

  static func run(_ words: [String]) throws {
    guard let name = words.first, let prepare = names.first(where: { $0.0 == name })?.1, words.count > 1,
      let count = Int(words[1]), count >= 0
    else {
      print("usage: mls-bench op NAME COUNT [SUITE]\nnames: " + names.map(\.0).joined(separator: " "))
      exit(1)
    }
    let suite = CipherSuite(rawValue: words.count > 2 ? UInt16(words[2]) ?? 3 : 3)
    let body = try prepare(count + 1, suite)
    // What the libraries do once, at first use, is not of interest.
    try body()
    var best = Double.infinity
    for _ in 0..<count { best = min(best, try Timing.elapsed { try measuredOperation(body) }) }
    print("\(name): \(count) times, the fastest \(fixed(best / 1000)) µs")
  }

  private static func protect(_ size: Int, _ suite: CipherSuite) throws -> Body {
    let pair = try Fixture.Pair(suite)
    let content = Random.bytes(size)
    return { _ = try pair.alice.group.protect(content) }
  }

  private static func unprotect(_ size: Int, _ count: Int, _ suite: CipherSuite) throws -> Body {
    let pair = try Fixture.Pair(suite)
    let messages = try pair.sealed(count, Random.bytes(size))
    var next = 0
    return {
      _ = try pair.bob.group.receive(messages[next])
      next += 1
    }
  }

  private static func sealing(_ suite: CipherSuite) throws -> Body {
    let hpke = try suite.algorithms().hpke
    let key = HPKEPrivateKey.generate(hpke.kem)
    let plaintext = Random.bytes(32)
    return { _ = try hpke.seal(to: key.publicKey, plaintext: plaintext) }
  }

  private static func opening(_ suite: CipherSuite) throws -> Body {
    let hpke = try suite.algorithms().hpke
    let key = HPKEPrivateKey.generate(hpke.kem)
    let sealed = try hpke.seal(to: key.publicKey, plaintext: Random.bytes(32))
    return { _ = try hpke.open(sealed.ciphertext, kemOutput: sealed.kemOutput, with: key) }
  }

  private static func creating(_ members: Int, _ suite: CipherSuite) throws -> Body {
    let creator = try Fixture.creator(suite)
    let adds = try Fixture.people(1..<members, suite).map(\.add)
    // The commit is dropped: the group stays in its epoch and can make it again.
    return { _ = try creator.group.commit(adds, now: Fixture.now) }
  }

  private static func joining(_ members: Int, _ suite: CipherSuite) throws -> Body {
    let fresh = try Fixture.Fresh(members, suite)
    return { _ = try fresh.joinLast() }
  }

  private static func committingFresh(_ members: Int, _ suite: CipherSuite) throws -> Body {
    committing(try Fixture.Fresh(members, suite).creator)
  }

  private static func processingFresh(_ members: Int, _ suite: CipherSuite) throws -> Body {
    let fresh = try Fixture.Fresh(members, suite)
    let last = try fresh.joinLast()
    return try processing(fresh.creator.commit(path: true).message, by: last)
  }

  private static func committingFull(_ members: Int, _ suite: CipherSuite) throws -> Body {
    committing(try KeptFixture.full(members, suite).first)
  }

  private static func processingFull(_ members: Int, _ suite: CipherSuite, near: Bool) throws -> Body {
    let full = try KeptFixture.full(members, suite)
    return try processing(full.first.commit(path: true).message, by: near ? full.second : full.last)
  }

  private static func encoding(_ members: Int, _ suite: CipherSuite) throws -> Body {
    let creator = try Fixture.Fresh(members, suite).creator
    return { _ = creator.group.encodeState() }
  }

  private static func restoring(_ members: Int, _ suite: CipherSuite) throws -> Body {
    let creator = try Fixture.Fresh(members, suite).creator
    let state = creator.group.encodeState()
    return { _ = try Group(restoring: state, identity: creator.identity) }
  }

  private static func keyPackage(_ suite: CipherSuite) throws -> Body {
    let identity = try Fixture.Person(0, suite).identity
    return { _ = try KeyPackageBundle.generate(suite: suite, identity: identity, lifetime: Fixture.lifetime) }
  }

  static func committing(_ member: Fixture.Member) -> Body {
    var options = CommitOptions()
    options.forcesPath = true
    return { _ = try member.group.commit(options: options, now: Fixture.now) }
  }

  /// A commit spends nothing before it is merged, so that it can be processed again and again.
  static func processing(_ message: [UInt8], by member: Fixture.Member) throws -> Body {
    {
      guard case .commit = try member.group.receive(message) else { throw Fixture.Broken(what: "not a commit") }
    }
  }
}

/// The one function that a profiler looks for.
@inline(never)
func measuredOperation(_ body: () throws -> Void) rethrows { try body() }
