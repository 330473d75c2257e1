import CryptoPrimitives
import Glibc
import RelayProtocol

/// The Ed25519 keys of access tokens: the first signs, all verify, those that were replaced until their last token has
/// expired.
struct TokenKeys: Sendable {
  struct Key: Sendable {
    /// The key's thumbprint (RFC 7638, RFC 8037): a name that nobody chooses.
    let id: String
    let key: SigningKey
    /// When it was replaced, its last token expires now; in milliseconds since 1970.
    let until: UInt64?

    init(_ key: SigningKey, until: UInt64? = nil) {
      (self.key, self.until) = (key, until)
      id = TokenKeys.thumbprint(key.publicKey)
    }
  }

  let keys: [Key]
  let signing: SigningKey
  let signingID: String

  init(signing: SigningKey, retired: [Key] = []) {
    let first = Key(signing)
    (self.signing, signingID) = (signing, first.id)
    keys = [first] + retired
  }

  func verifyingKey(id: String, now: UInt64) -> VerifyingKey? {
    keys.first { $0.id == id && ($0.until.map { $0 > now } ?? true) }?.key.verifyingKey
  }

  /// The same with a new key that signs. The one before is good until `until`, and those past their time are dropped.
  func rotated(until: UInt64, now: UInt64) -> TokenKeys {
    let retired = keys.dropFirst().filter { $0.until.map { $0 > now } ?? true }
    return TokenKeys(signing: .generate(), retired: [Key(signing, until: until)] + retired)
  }

  static func thumbprint(_ publicKey: [UInt8]) -> String {
    let json = #"{"crv":"Ed25519","kty":"OKP","x":"\#(Base64URL(publicKey).text)"}"#
    return Base64URL(Digest.hash(.sha256, Array(json.utf8))).text
  }

  // MARK: The file

  /// Reads the key file, or makes it with one new key: a line `ed25519 SEED` for each, the seed in base64url, and behind
  /// it for those that were replaced the time in milliseconds until which they are good.
  ///
  /// - Throws: `unavailable` when the file cannot be read or made, when others could read it, or when it is damaged:
  ///   for the operator to mend, because a relay that made new keys instead would end all sessions unasked.
  static func load(file path: String) throws(RelayError) -> TokenKeys {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    if descriptor < 0 {
      guard errno == ENOENT else {
        throw RelayError(
          .unavailable, "the token key file cannot be opened",
          remedy: "token-keys in the data folder must belong to the user that the relay runs as, and be no link")
      }
      let made = TokenKeys(signing: .generate())
      try made.write(to: path, flags: O_EXCL)
      return made
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & 0o077 == 0 else {
      throw RelayError(.unavailable, "the token key file must be readable by its owner alone (chmod 600)")
    }
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
    guard count >= 0 else { throw RelayError(.unavailable, "the token key file cannot be read") }
    var keys: [Key] = []
    for line in bytes.prefix(count).split(separator: UInt8(ascii: "\n")) {
      let words = String(decoding: line, as: UTF8.self).split(separator: " ")
      guard (2...3).contains(words.count), words[0] == "ed25519", let seed = Base64URL(text: words[1]),
        seed.bytes.count == 32, let key = try? SigningKey(seed: Secret(copying: seed.bytes)),
        words.count == 2 || (UInt64(words[2]) != nil && !keys.isEmpty)
      else {
        throw RelayError(
          .unavailable, "the token key file is damaged",
          remedy: "copy it again from another relay or a backup; without it a new one is made, and clients refresh")
      }
      keys.append(Key(key, until: words.count == 3 ? UInt64(words[2]) : nil))
    }
    guard let signing = keys.first else { throw RelayError(.unavailable, "the token key file holds no key") }
    return TokenKeys(signing: signing.key, retired: Array(keys.dropFirst()))
  }

  /// Puts these keys in the place of the file's, at once or not at all.
  func replace(file path: String) throws(RelayError) {
    let new = path + ".new"
    unlink(new)
    try write(to: new, flags: O_EXCL)
    guard rename(new, path) == 0 else {
      unlink(new)
      throw RelayError(.unavailable, "the token key file cannot be replaced")
    }
    // So that the name survives a power cut as well as the content does.
    let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    let folder = open(parent.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }

  private func write(to path: String, flags: Int32) throws(RelayError) {
    var text = ""
    for key in keys {
      text += key.key.seed.withBytes { "ed25519 \(Base64URL(Array($0)).text)" }
      text += key.until.map { " \($0)\n" } ?? "\n"
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0o600)
    guard descriptor >= 0 else { throw RelayError(.unavailable, "the token key file cannot be made") }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
      unlink(path)
      throw RelayError(
        .unavailable, "the token key file cannot be written",
        remedy: "is the disk of the data folder full, or its quota used up?")
    }
  }
}
