import BenchKit
import CryptoPrimitives
import E2ECrypto

/// The other suites, in units of their own primitives as our wrappers call them: what the protocol costs beyond them.
enum SuiteTable {
  private static let members = 100

  static func print() throws {
    header(
      "suite", "S, V, B, D in µs", "protect 100 B", "unprotect", "HPKE seal", "HPKE open",
      "create \(members)", "join \(members)")
    for suite in CipherSuite.supported.sorted(by: { $0.rawValue < $1.rawValue }) {
      try row(suite)
    }
    Swift.print(
      "\nAgainst S, V, B + D, D, \(members - 1) (2 V + B + D) and \(members) V. B is the making of a key pair, D an "
        + "encapsulated key opened.")
  }

  private static func row(_ suite: CipherSuite) throws {
    let algorithms = try suite.algorithms()
    let message = Random.bytes(100)
    let signer = SigningKey.generate(algorithms.signature)
    let signature = try signer.sign(message)
    let (kem, hpke) = (algorithms.kem, algorithms.hpke)
    let key = HPKEPrivateKey.generate(kem)
    let encapsulation = try kem.encapsulate(to: key.publicKey).encapsulation
    let sign = Unit("S") { _ = try? signer.sign(message) }
    let verify = Unit("V") {
      _ = algorithms.signature.verify(publicKey: signer.publicKey, message: message, signature: signature)
    }
    let base = Unit("B") { _ = HPKEPrivateKey.generate(kem) }
    let agree = Unit("D") { _ = try? kem.decapsulate(encapsulation, with: key) }

    let pair = try Fixture.Pair(suite)
    let protect = try Paired.repeating([(1, sign)], samples: 9) { _ = try pair.alice.group.protect(message) }
    let unprotect = try Paired(samples: 9, budget: [(1, verify)]) {
      let fresh = try Fixture.Pair(suite)
      let messages = try fresh.sealed(20, message)
      return try Processor.time { for message in messages { _ = try fresh.bob.group.receive(message) } } / 20
    }
    let sealed = try hpke.seal(to: key.publicKey, plaintext: message)
    let seal = try Paired.repeating([(1, base), (1, agree)], samples: 9) {
      _ = try hpke.seal(to: key.publicKey, plaintext: message)
    }
    let open = try Paired.repeating([(1, agree)], samples: 9) {
      _ = try hpke.open(sealed.ciphertext, kemOutput: sealed.kemOutput, with: key)
    }
    let people = try Fixture.people(1..<members, suite)
    let adds = people.map(\.add)
    let added = Double(members - 1)
    let create = try Paired(samples: 3, budget: [(2 * added, verify), (added, base), (added, agree)]) {
      try Processor.time { _ = try Fixture.creator(suite).commit(adds, path: false) }
    }
    let fresh = try Fixture.Fresh(people, suite)
    let join = try Paired(samples: 3, budget: [(Double(members), verify)]) {
      try Processor.time { _ = try fresh.joinLast() }
    }
    let units = [sign, verify, base, agree].map { fixed($0.sample() / 1000) }.joined(separator: ", ")
    BenchKit.row(
      "\(suite.rawValue)", units, fixed(protect.ratio, 2) + " S", fixed(unprotect.ratio, 2) + " V",
      fixed(seal.ratio, 2), fixed(open.ratio, 2), fixed(create.ratio, 2), fixed(join.ratio, 2))
  }
}
