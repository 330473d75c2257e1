import BenchKit
import CryptoPrimitives
import E2ECrypto
import Glibc

/// A full tree kept in a file from one profiling run to the next: under valgrind, growing it would take minutes.
///
/// Nothing but `op` reads it. A file that cannot be restored is made anew.
enum KeptFixture {
  static func full(_ count: Int, _ suite: CipherSuite) throws -> Fixture.Full {
    let path = Child.folder + "/mls-bench-full-\(count)-\(suite.rawValue).fixture"
    if let kept = try? read(path) { return kept }
    let full = try Fixture.Full(count, suite)
    try write(full, path)
    return full
  }

  private static func read(_ path: String) throws -> Fixture.Full {
    guard let file = fopen(path, "r") else { throw Fixture.Broken(what: "no file") }
    defer { fclose(file) }
    func part() throws -> [UInt8] {
      var count: UInt64 = 0
      guard fread(&count, 8, 1, file) == 1, count < 1 << 30 else { throw Fixture.Broken(what: "short file") }
      var bytes = [UInt8](repeating: 0, count: Int(count))
      guard fread(&bytes, 1, bytes.count, file) == bytes.count else { throw Fixture.Broken(what: "short file") }
      return bytes
    }
    func member() throws -> Fixture.Member {
      let state = GroupState(epochPart: Secret(copying: try part()), messagePart: Secret(copying: try part()))
      guard let scheme = SignatureScheme(rawValue: UInt16(try part().count)) else {
        throw Fixture.Broken(what: "scheme")
      }
      let identity = ClientIdentity(
        credential: .basic(identity: try part()),
        signingKey: try SigningKey(scheme: scheme, seed: Secret(copying: try part())))
      return Fixture.Member(identity, try Group(restoring: state, identity: identity))
    }
    return Fixture.Full(first: try member(), second: try member(), last: try member())
  }

  private static func write(_ full: Fixture.Full, _ path: String) throws {
    guard let file = fopen(path, "w") else { throw Fixture.Broken(what: "cannot write \(path)") }
    defer { fclose(file) }
    func write(_ bytes: [UInt8]) {
      var count = UInt64(bytes.count)
      fwrite(&count, 8, 1, file)
      fwrite(bytes, 1, bytes.count, file)
    }
    for member in [full.first, full.second, full.last] {
      let state = member.group.encodeState()
      write(state.epochPart.withBytes { Array($0) })
      write(state.messagePart.withBytes { Array($0) })
      write([UInt8](repeating: 0, count: Int(member.identity.signingKey.scheme.rawValue)))
      write(Array("member".utf8))
      write(member.identity.signingKey.seed.withBytes { Array($0) })
    }
  }
}
