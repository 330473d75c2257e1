import CryptoPrimitives
import Glibc
import RelayProtocol

/// The Ed25519 keys of access tokens: the first signs, all verify.
///
/// To rotate, put a new key before the others and restart; drop the old one when its last token has expired.
struct TokenKeys: Sendable {
  struct Key: Sendable {
    /// The key's thumbprint (RFC 7638, RFC 8037): a name that nobody chooses.
    let id: String
    let key: VerifyingKey
  }

  let signing: SigningKey
  let signingID: String
  private let verifying: [String: VerifyingKey]

  init(signing: SigningKey, retired: [VerifyingKey] = []) {
    self.signing = signing
    signingID = Self.thumbprint(signing.publicKey)
    var verifying = [signingID: signing.verifyingKey]
    for key in retired { verifying[Self.thumbprint(key.bytes)] = key }
    self.verifying = verifying
  }

  func verifyingKey(id: String) -> VerifyingKey? { verifying[id] }

  static func thumbprint(_ publicKey: [UInt8]) -> String {
    let json = #"{"crv":"Ed25519","kty":"OKP","x":"\#(Base64URL(publicKey).text)"}"#
    return Base64URL(Digest.hash(.sha256, Array(json.utf8))).text
  }

  // MARK: The file

  /// Reads the key file, or makes it with one new key: a line `ed25519 SEED` for each, the seed in base64url.
  ///
  /// - Throws: `unavailable` when the file cannot be read or made, when others could read it, or when it is damaged:
  ///   for the operator to mend, because a relay that made new keys instead would end all sessions unasked.
  static func load(file path: String) throws(RelayError) -> TokenKeys {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    if descriptor < 0 {
      guard errno == ENOENT else { throw RelayError(.unavailable, "the token key file cannot be opened") }
      return try make(file: path)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & 0o077 == 0 else {
      throw RelayError(.unavailable, "the token key file must be readable by its owner alone (chmod 600)")
    }
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
    guard count >= 0 else { throw RelayError(.unavailable, "the token key file cannot be read") }
    var keys: [SigningKey] = []
    for line in bytes.prefix(count).split(separator: UInt8(ascii: "\n")) {
      let words = String(decoding: line, as: UTF8.self).split(separator: " ")
      guard words.count == 2, words[0] == "ed25519", let seed = Base64URL(text: words[1]), seed.bytes.count == 32,
        let key = try? SigningKey(seed: Secret(copying: seed.bytes))
      else { throw RelayError(.unavailable, "the token key file is damaged") }
      keys.append(key)
    }
    guard let signing = keys.first else { throw RelayError(.unavailable, "the token key file holds no key") }
    return TokenKeys(signing: signing, retired: keys.dropFirst().map(\.verifyingKey))
  }

  private static func make(file path: String) throws(RelayError) -> TokenKeys {
    let key = SigningKey.generate()
    let line = key.seed.withBytes { "ed25519 \(Base64URL(Array($0)).text)\n" }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw RelayError(.unavailable, "the token key file cannot be made") }
    defer { close(descriptor) }
    let bytes = Array(line.utf8)
    guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
      unlink(path)
      throw RelayError(.unavailable, "the token key file cannot be written")
    }
    return TokenKeys(signing: key)
  }
}
