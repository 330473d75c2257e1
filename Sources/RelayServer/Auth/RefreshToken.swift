import CryptoPrimitives
import RelayProtocol

/// A refresh token: the session's number and 32 random bytes, which only the client keeps.
///
/// The number is not secret; it lets the relay find the sockets of a session that ends because its token was stolen.
struct RefreshToken: Sendable {
  let session: UInt64
  let text: String

  init(session: UInt64) {
    self.session = session
    var bytes = (0..<8).map { UInt8(truncatingIfNeeded: session >> UInt64(56 - 8 * $0)) }
    bytes += Random.bytes(32)
    text = Base64URL(bytes).text
  }

  /// Reads a token that a client presents, or returns `nil` for what cannot be one.
  init?(text: String) {
    guard text.utf8.count == 54, let value = Base64URL(text: text), value.bytes.count == 40 else { return nil }
    session = value.bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    self.text = text
  }

  /// What the store keeps. The token has 256 bits that nobody can guess, so a fast hash is enough.
  var hash: [UInt8] { Digest.hash(.sha256, Array(text.utf8)) }
}
