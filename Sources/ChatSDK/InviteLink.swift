import CryptoPrimitives
import RelayProtocol

/// A link by which whoever has it joins a room at once.
///
/// The secret stands behind `#`, which no browser and no client ever sends to a relay. It does not print: ask for ``text``
/// where the link is meant to be shown.
public struct InviteLink: Sendable, CustomStringConvertible {
  /// The relay's part, which names the link and opens nothing.
  public var id: String { secret.id.description }
  /// The whole link.
  public let text: String
  let secret: InviteSecret

  public var description: String { "InviteLink(\(id))" }

  init(relay: String, _ secret: InviteSecret) {
    self.secret = secret
    let base = relay.hasSuffix("/") ? String(relay.dropLast()) : relay
    text = base + "/join/\(secret.id)#" + secret.secret.withBytes { Base64URL(Array($0)) }.text
  }

  /// Reads a link.
  ///
  /// - Throws: `inviteInvalid` if it is none.
  public init(_ text: String) throws(ChatError) {
    let parts = text.split(separator: "#", omittingEmptySubsequences: false)
    guard text.utf8.count <= 4096, parts.count == 2,
      let id = parts[0].split(separator: "/").last.flatMap({ InviteID(String($0)) }),
      let bytes = Base64URL(text: parts[1])?.bytes, bytes.count == InviteSecret.size
    else { throw ChatError(.inviteInvalid) }
    do { secret = try InviteSecret(id: id, secret: Secret(copying: bytes)) } catch {
      throw ChatError(.inviteInvalid, underlying: error)
    }
    self.text = text
  }
}
