import BenchKit
import CryptoPrimitives
import E2ECrypto
import Glibc

/// What a process holds that is a member of one large group and nothing else, measured in processes of their own.
enum MemoryBench {
  struct Figures {
    /// Bytes of the serialised ratchet tree.
    var tree: Int
    /// Resident bytes of a process that restored the group from its saved state, and of one that joined it.
    var restored: Int
    var joined: Int
  }

  static func measure(_ count: Int, _ suite: CipherSuite) throws -> Figures {
    let fresh = try Fixture.Fresh(try Fixture.people(1..<count, suite), suite)
    guard let last = fresh.people.last else { throw Fixture.Broken(what: "nobody was added") }
    let member = try fresh.joinLast()
    let state = member.group.encodeState()
    let seed = last.identity.signingKey.seed
    let folder = try Parts.temporaryFolder()
    defer { Parts.remove(folder) }
    try Parts.write(
      [seed.copied, state.epochPart.copied, state.messagePart.copied], to: folder + "/restored", suite)
    try Parts.write([seed.copied, last.bundle.encodeState().copied, fresh.welcome], to: folder + "/joined", suite)
    return Figures(
      tree: member.group.ratchetTree.count, restored: try resident("restored", folder),
      joined: try resident("joined", folder))
  }

  private static func resident(_ how: String, _ folder: String) throws -> Int {
    let output = folder + "/\(how).out"
    try Child("mls-bench", ["holding", how, folder + "/" + how], output: output).succeed()
    guard let bytes = Machine.lines(of: output).first.flatMap({ Int($0) }) else {
      throw Fixture.Broken(what: "the child said nothing")
    }
    return bytes
  }

  /// The child: becomes a member, lets go of what it was made from, and says what it holds.
  static func hold(_ how: String, _ path: String) throws {
    let group = try group(how, path)
    let line = Machine.lines(of: "/proc/self/status").first { $0.hasPrefix("VmRSS:") } ?? ""
    let kilobytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0
    print(kilobytes * 1024)
    // The group is used once more, so that it lives until here.
    guard group.memberCount > 1 else { throw Fixture.Broken(what: "an empty group") }
  }

  private static func group(_ how: String, _ path: String) throws -> Group {
    let (parts, suite) = try Parts.read(path)
    guard parts.count == 3 else { throw Fixture.Broken(what: "parts") }
    let key = try SigningKey(scheme: try suite.algorithms().signature, seed: Secret(copying: parts[0]))
    let identity = ClientIdentity(credential: .basic(identity: Array("member".utf8)), signingKey: key)
    if how == "restored" {
      let state = GroupState(epochPart: Secret(copying: parts[1]), messagePart: Secret(copying: parts[2]))
      return try Group(restoring: state, identity: identity)
    }
    let bundle = try KeyPackageBundle(restoring: Secret(copying: parts[1]))
    return try Group.join(welcome: parts[2], keyPackage: bundle, identity: identity).adopt()
  }
}

/// Byte strings in a file, for a later run or another process of this very build.
enum Parts {
  static func write(_ parts: [[UInt8]], to path: String, _ suite: CipherSuite) throws {
    guard let file = fopen(path, "w") else { throw Fixture.Broken(what: "cannot write \(path)") }
    defer { fclose(file) }
    var head = (UInt64(suite.rawValue), UInt64(parts.count))
    fwrite(&head, 16, 1, file)
    for part in parts {
      var count = UInt64(part.count)
      fwrite(&count, 8, 1, file)
      fwrite(part, 1, part.count, file)
    }
  }

  static func read(_ path: String) throws -> (parts: [[UInt8]], suite: CipherSuite) {
    guard let file = fopen(path, "r") else { throw Fixture.Broken(what: "no \(path)") }
    defer { fclose(file) }
    var head: (UInt64, UInt64) = (0, 0)
    guard fread(&head, 16, 1, file) == 1, head.1 < 100 else { throw Fixture.Broken(what: "short file") }
    let parts = try (0..<head.1).map { _ in
      var count: UInt64 = 0
      guard fread(&count, 8, 1, file) == 1, count < 1 << 30 else { throw Fixture.Broken(what: "short file") }
      var bytes = [UInt8](repeating: 0, count: Int(count))
      guard fread(&bytes, 1, bytes.count, file) == bytes.count else { throw Fixture.Broken(what: "short file") }
      return bytes
    }
    return (parts, CipherSuite(rawValue: UInt16(truncatingIfNeeded: head.0)))
  }

  static func temporaryFolder() throws -> String {
    var template = Array("/tmp/mls-bench.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Fixture.Broken(what: "mkdtemp") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  static func remove(_ folder: String) {
    guard folder.hasPrefix("/tmp/mls-bench.") else { return }
    try? Child("/bin/rm", ["-rf", folder]).succeed()
  }
}

extension Secret {
  /// A plain copy; these keys guard nothing.
  var copied: [UInt8] { withBytes { Array($0) } }
}
