import CryptoPrimitives
import WireCodec

/// A received value whose signature nobody has checked. It becomes a usable value in this file alone.
struct Unverified<Value: Sendable>: Sendable {
  fileprivate let value: Value

  init(_ value: Value) { self.value = value }
}

extension Unverified<AuthenticatedContent> {
  /// Who claims to have sent the message: what the key to verify it with is looked up by.
  var claimedSender: Sender { value.content.sender }
  /// What the key is within, for senders that are not members.
  var claimedContent: Content { value.content.content }

  /// Checks the signature (RFC 9420 section 6.1). `context` is the encoded group context of the message's epoch.
  func verified(_ suite: Suite, key: [UInt8], context: [UInt8]) throws(MLSError) -> AuthenticatedContent {
    let size = value.content.roughSize + context.count
    let holds = suite.isValid(signature: value.auth.signature, key: key, "FramedContentTBS", expecting: size) {
      value.content.encodeSigned(as: value.format, context: context, into: &$0)
    }
    guard holds else { throw MLSError(.badSignature) }
    return value
  }
}

extension AuthenticatedContent {
  /// Signs a message (RFC 9420 section 6.1). A commit's confirmation tag follows later, since it covers the signature.
  init(
    signing content: FramedContent, as format: WireFormat, _ suite: Suite, key: SigningKey, context: [UInt8]
  ) throws(MLSError) {
    let size = content.roughSize + context.count
    let signature = try suite.sign(key, "FramedContentTBS", expecting: size) {
      content.encodeSigned(as: format, context: context, into: &$0)
    }
    self.init(
      format: format, content: content, auth: FramedContentAuthData(signature: signature, confirmationTag: nil))
  }
}

extension Unverified<LeafNode> {
  /// Checks the leaf's signature (RFC 9420 section 7.3).
  func verified(_ suite: Suite, at place: LeafPlace?) throws(MLSError) -> LeafNode {
    try Rule.leafSignature.require(
      suite.isValid(signature: value.signature, key: value.signatureKey, "LeafNodeTBS") {
        value.encodeSigned(at: place, into: &$0)
      })
    return value
  }
}

extension LeafNode {
  mutating func sign(_ suite: Suite, key: SigningKey, at place: LeafPlace?) throws(MLSError) {
    signature = try suite.sign(key, "LeafNodeTBS") { encodeSigned(at: place, into: &$0) }
  }
}

extension Unverified<KeyPackage> {
  /// Checks the package's signature, not the leaf's (RFC 9420 section 10.1).
  func verified(_ suite: Suite) throws(MLSError) -> KeyPackage {
    try Rule.keyPackageSignature.require(
      suite.isValid(signature: value.signature, key: value.leafNode.signatureKey, "KeyPackageTBS") {
        value.encodeSigned(into: &$0)
      })
    return value
  }
}

extension KeyPackage {
  func signed(_ suite: Suite, key: SigningKey) throws(MLSError) -> KeyPackage {
    KeyPackage(
      cipherSuite: cipherSuite, initKey: initKey, leafNode: leafNode, extensions: extensions,
      signature: try suite.sign(key, "KeyPackageTBS") { encodeSigned(into: &$0) })
  }
}

extension Unverified<GroupInfo> {
  /// Which member claims to have signed, and what the tree is found by.
  var claimed: (signer: LeafIndex, context: GroupContext, extensions: [Extension]) {
    (value.signer, value.context, value.extensions)
  }

  /// Checks the signature (RFC 9420 section 12.4.3).
  func verified(_ suite: Suite, key: [UInt8]) throws(MLSError) -> GroupInfo {
    try Rule.welcomeSignature.require(
      suite.isValid(signature: value.signature, key: key, "GroupInfoTBS") { value.encodeSigned(into: &$0) })
    return value
  }
}

extension GroupInfo {
  mutating func sign(_ suite: Suite, key: SigningKey) throws(MLSError) {
    signature = try suite.sign(key, "GroupInfoTBS") { encodeSigned(into: &$0) }
  }
}
