import CSodium
import CryptoPrimitives

@testable import E2ECrypto

/// The time of all runs, and key packages' lifetimes around it.
let today = Timestamp(secondsSinceEpoch: 1_800_000_000)
let lifetime = Lifetime(
  notBefore: Timestamp(secondsSinceEpoch: 1_790_000_000), notAfter: Timestamp(secondsSinceEpoch: 1_820_000_000))

/// Randomness that one input always gets again, in place of libsodium's: without it no finding could be repeated.
enum FixedRandom {
  nonisolated(unsafe) private static var state: UInt64 = 0

  /// Starts the sequence anew. Called at the beginning of each input that makes keys.
  static func restart(_ seed: UInt64 = 1) {
    _ = installed
    state = seed
  }

  private static func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }

  private static let installed: Bool = {
    // libsodium keeps the pointer, so the table is never freed.
    let table = UnsafeMutablePointer<randombytes_implementation>.allocate(capacity: 1)
    table.initialize(
      to: randombytes_implementation(
        implementation_name: { UnsafePointer(name) }, random: { UInt32(truncatingIfNeeded: FixedRandom.next()) },
        stir: nil, uniform: nil,
        buf: { buffer, count in
          guard let bytes = buffer?.assumingMemoryBound(to: UInt8.self) else { return }
          for place in 0..<count { bytes[place] = UInt8(truncatingIfNeeded: FixedRandom.next()) }
        }, close: nil))
    return randombytes_set_implementation(table) == 0 && sodium_init() >= 0
  }()

  nonisolated(unsafe) private static let name: UnsafeMutablePointer<CChar> = {
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: 6)
    for (place, byte) in Array("fixed\0".utf8).enumerated() { text[place] = CChar(byte) }
    return text
  }()
}

/// An identity that is the same in each process: saved states of it can be read again.
func fixedIdentity(_ name: String) -> ClientIdentity {
  var seed = Array(name.utf8.prefix(32))
  seed += [UInt8](repeating: 0, count: 32 - seed.count)
  guard let key = try? SigningKey(seed: Secret(copying: seed)) else { found("no key from a seed") }
  return ClientIdentity(credential: .basic(identity: Array(name.utf8)), signingKey: key)
}

extension Secret {
  var exposed: [UInt8] { withBytes { Array($0) } }
}

/// A private-use extension type that all clients here know, so that the group can carry it.
let knownExtension: UInt16 = 0xff01
/// Likewise for a proposal of the application's own.
let knownProposal: UInt16 = 0xf001

/// What all clients here can do: AppDataUpdate, AppEphemeral and SelfRemove among it.
let knownCapabilities = Capabilities(
  extensions: [knownExtension, Extension.appDataDictionaryType], proposals: [8, 9, 10, knownProposal])

/// Who is not in the group yet.
struct Outsider {
  let name: String
  let identity: ClientIdentity
  let bundle: KeyPackageBundle

  init(_ name: String, suite: CipherSuite = .x25519ChaCha20Poly1305) throws {
    self.name = name
    identity = fixedIdentity(name)
    bundle = try KeyPackageBundle.generate(
      suite: suite, identity: identity, capabilities: knownCapabilities, lifetime: lifetime)
  }

  init(_ name: String, _ bundle: KeyPackageBundle) {
    (self.name, identity, self.bundle) = (name, fixedIdentity(name), bundle)
  }
}

/// A group of a few members, all in the same epoch.
final class Fixture {
  /// By place; the first made the group.
  private(set) var names: [String] = []
  private var groups: [Box] = []

  final class Box {
    var group: Group
    init(_ group: consuming Group) { self.group = group }
  }

  subscript(place: Int) -> Box { groups[place] }

  init(_ count: Int, extensions: [Extension] = []) throws {
    names = (0..<count).map { "member \($0)" }
    groups.append(
      Box(
        try Group.create(
          groupID: GroupID(Array("group of the fuzzer".utf8)), suite: .x25519ChaCha20Poly1305,
          identity: fixedIdentity(names[0]), capabilities: knownCapabilities,
          extensions: extensions, lifetime: lifetime)))
    for name in names.dropFirst() {
      let outsider = try Outsider(name)
      var options = CommitOptions()
      options.forcesPath = true
      let pending = try groups[0].group.commit([.add(outsider.bundle.keyPackage)], options: options, now: today)
      let (message, welcome) = (pending.message, pending.welcome)
      try groups[0].group.merge(pending)
      for box in groups.dropFirst() { try box.follow(message) }
      guard let welcome else { found("an add without a welcome") }
      groups.append(
        Box(
          try Group.join(welcome: welcome, keyPackage: outsider.bundle, identity: outsider.identity).adopt()))
    }
  }
}

extension Fixture.Box {
  func follow(_ message: [UInt8]) throws {
    guard case .commit(let commit) = try group.receive(message) else { found("a commit that is none") }
    try group.merge(commit)
  }
}
