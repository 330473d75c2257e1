import BenchKit
import CryptoPrimitives
import E2ECrypto

/// A full tree kept in a file from one profiling run to the next: under valgrind, growing it would take minutes.
///
/// Nothing but `op` reads it. A file that cannot be restored is made anew.
enum KeptFixture {
  static func full(_ count: Int, _ suite: CipherSuite) throws -> Fixture.Full {
    let path = Child.folder + "/mls-bench-full-\(count)-\(suite.rawValue).fixture"
    if let kept = try? read(path) { return kept }
    let full = try Fixture.Full(count, suite)
    let parts = [full.first, full.second, full.last].flatMap { member in
      let state = member.group.encodeState()
      return [member.identity.signingKey.seed.copied, state.epochPart.copied, state.messagePart.copied]
    }
    try Parts.write(parts, to: path, suite)
    return full
  }

  private static func read(_ path: String) throws -> Fixture.Full {
    let (parts, suite) = try Parts.read(path)
    guard parts.count == 9 else { throw Fixture.Broken(what: "parts") }
    let scheme = try suite.algorithms().signature
    func member(_ place: Int) throws -> Fixture.Member {
      let identity = ClientIdentity(
        credential: .basic(identity: Array("member".utf8)),
        signingKey: try SigningKey(scheme: scheme, seed: Secret(copying: parts[3 * place])))
      let state = GroupState(
        epochPart: Secret(copying: parts[3 * place + 1]), messagePart: Secret(copying: parts[3 * place + 2]))
      return Fixture.Member(identity, try Group(restoring: state, identity: identity))
    }
    let full = Fixture.Full(first: try member(0), second: try member(1), last: try member(2))
    // A restored group does not know its tree's hashes yet: one epoch on, it does.
    let message = try full.first.commit(path: true).message
    for member in [full.second, full.last] { try member.follow(message) }
    return full
  }
}
