import CryptoPrimitives
import WireCodec

/// A message that is signed and not encrypted (RFC 9420 section 6.2).
struct PublicMessage: Hashable, Sendable, WireCodable {
  let content: FramedContent
  let auth: FramedContentAuthData
  let membershipTag: [UInt8]?

  init(from reader: inout Reader) throws(WireError) {
    content = try FramedContent(from: &reader)
    auth = try FramedContentAuthData(content.content.type, from: &reader)
    if case .member = content.sender {
      membershipTag = try reader.readVector(max: Bounds.hash)
    } else {
      membershipTag = nil
    }
  }

  func encode(into writer: inout Writer) {
    writer.write(content)
    auth.encode(into: &writer)
    if let membershipTag { writer.writeVector(membershipTag) }
  }

  /// Wraps a signed message, with the tag that only members can make if a member sends it.
  init(
    protecting message: AuthenticatedContent, _ suite: Suite, membershipKey: Secret, context: [UInt8]
  ) throws(MLSError) {
    try Rule.applicationIsPrivate.require(message.content.content.type != .application)
    content = message.content
    auth = message.auth
    if case .member = content.sender {
      let bytes = Self.taggedBytes(content, auth, context: context)
      membershipTag = suite.mac(membershipKey, bytes)
    } else {
      membershipTag = nil
    }
  }

  /// Checks the membership tag; the signature is still to be verified.
  func unprotect(
    _ suite: Suite, membershipKey: Secret, context: [UInt8]
  ) throws(MLSError) -> Unverified<AuthenticatedContent> {
    try Rule.applicationIsPrivate.require(content.content.type != .application)
    if case .member = content.sender {
      let bytes = Self.taggedBytes(content, auth, context: context)
      guard suite.isValid(mac: membershipTag ?? [], key: membershipKey, message: bytes) else {
        throw MLSError(.badTag)
      }
    }
    return Unverified(AuthenticatedContent(format: .publicMessage, content: content, auth: auth))
  }

  /// AuthenticatedContentTBM.
  private static func taggedBytes(
    _ content: FramedContent, _ auth: FramedContentAuthData, context: [UInt8]
  ) -> [UInt8] {
    var writer = Writer(reserving: context.count + 768)
    content.encodeSigned(as: .publicMessage, context: context, into: &writer)
    auth.encode(into: &writer)
    return writer.bytes
  }
}
