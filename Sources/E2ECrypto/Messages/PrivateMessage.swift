import CryptoPrimitives
import WireCodec

/// A message that is signed, then encrypted with a key of the sender's ratchet (RFC 9420 section 6.3).
struct PrivateMessage: Hashable, Sendable, WireCodable {
  let groupID: GroupID
  let epoch: Epoch
  let contentType: ContentType
  let authenticatedData: [UInt8]
  let encryptedSenderData: [UInt8]
  let ciphertext: [UInt8]

  init(from reader: inout Reader) throws(WireError) {
    groupID = try GroupID(from: &reader)
    epoch = try Epoch(from: &reader)
    contentType = try ContentType(from: &reader)
    authenticatedData = try reader.readVector(max: Bounds.authenticatedData)
    encryptedSenderData = try reader.readVector(max: Bounds.key)
    ciphertext = try reader.readVector(max: Bounds.message)
  }

  func encode(into writer: inout Writer) {
    encodeContentAAD(into: &writer)
    writer.writeVector(encryptedSenderData)
    writer.writeVector(ciphertext)
  }

  /// PrivateContentAAD, which is also how the message begins.
  private func encodeContentAAD(into writer: inout Writer) {
    writer.write(groupID)
    writer.write(epoch)
    writer.write(contentType)
    writer.writeVector(authenticatedData)
  }

  private var contentAAD: [UInt8] {
    var writer = Writer(reserving: authenticatedData.count + 48)
    encodeContentAAD(into: &writer)
    return writer.bytes
  }

  private static func senderDataAAD(_ groupID: GroupID, _ epoch: Epoch, _ type: ContentType) -> [UInt8] {
    var writer = Writer(reserving: 48)
    writer.write(groupID)
    writer.write(epoch)
    writer.write(type)
    return writer.bytes
  }

  /// Seals a signed message of a member.
  ///
  /// `paddedTo` is the least length of the plaintext; zeros fill it up.
  init(
    protecting message: AuthenticatedContent, _ suite: Suite, key: consuming MessageKey, senderDataSecret: Secret,
    paddedTo: Int = 0
  ) throws(MLSError) {
    guard case .member(let leaf) = message.content.sender else { throw MLSError(.fault) }
    var plaintext = Writer(reserving: max(paddedTo, message.content.content.roughSize + 256))
    message.content.content.encode(into: &plaintext)
    message.auth.encode(into: &plaintext)
    if plaintext.bytes.count < paddedTo {
      plaintext.writeBytes(repeatElement(0, count: paddedTo - plaintext.bytes.count))
    }
    guard plaintext.bytes.count + suite.aead.tagSize <= Bounds.message else { throw MLSError(.outOfBounds) }

    groupID = message.content.groupID
    epoch = message.content.epoch
    contentType = message.content.content.type
    authenticatedData = message.content.authenticatedData
    var contentAAD = Writer(reserving: authenticatedData.count + 48)
    contentAAD.write(groupID)
    contentAAD.write(epoch)
    contentAAD.write(contentType)
    contentAAD.writeVector(authenticatedData)

    let senderData = SenderData(leaf: leaf, generation: key.generation, reuseGuard: Random.bytes(4))
    ciphertext = try key.seal(
      plaintext.bytes, suite: suite, reuseGuard: senderData.reuseGuard, authenticatedData: contentAAD.bytes)
    let sealing = try SenderData.key(suite, secret: senderDataSecret, ciphertext: ciphertext)
    do {
      encryptedSenderData = try suite.aead.seal(
        key: sealing.key, nonce: sealing.nonce,
        associatedData: Self.senderDataAAD(groupID, epoch, contentType), plaintext: senderData.encoded)
    } catch { throw MLSError(.fault) }
  }

  /// Reads who sent the message and with which key. Genuine only once the content has been opened with that key.
  func openSenderData(_ suite: Suite, secret: Secret) throws(MLSError) -> SenderData {
    let opening = try SenderData.key(suite, secret: secret, ciphertext: ciphertext)
    let bytes: [UInt8]
    do {
      bytes = try suite.aead.open(
        key: opening.key, nonce: opening.nonce,
        associatedData: Self.senderDataAAD(groupID, epoch, contentType), ciphertext: encryptedSenderData)
    } catch { throw MLSError(.decryptionFailed) }
    return try SenderData(strictly: bytes)
  }

  /// Opens the content; its signature is still to be verified.
  func open(
    _ suite: Suite, key: consuming MessageKey, sender: SenderData
  ) throws(MLSError) -> Unverified<AuthenticatedContent> {
    let plaintext = try key.open(
      ciphertext, suite: suite, reuseGuard: sender.reuseGuard, authenticatedData: contentAAD)
    let content: Content
    let auth: FramedContentAuthData
    var reader = Reader(plaintext)
    do {
      content = try Content(contentType, from: &reader)
      auth = try FramedContentAuthData(contentType, from: &reader)
    } catch { throw MLSError(reading: error) }
    try Rule.paddingIsZero.require(plaintext[reader.offset...].allSatisfy { $0 == 0 })
    let framed = FramedContent(
      groupID: groupID, epoch: epoch, sender: .member(sender.leaf), authenticatedData: authenticatedData,
      content: content)
    return Unverified(AuthenticatedContent(format: .privateMessage, content: framed, auth: auth))
  }
}

/// Who sent a PrivateMessage, and with which key (RFC 9420 section 6.3.2).
struct SenderData: Sendable, WireCodable {
  let leaf: LeafIndex
  let generation: UInt32
  let reuseGuard: [UInt8]

  init(leaf: LeafIndex, generation: UInt32, reuseGuard: [UInt8]) {
    self.leaf = leaf
    self.generation = generation
    self.reuseGuard = reuseGuard
  }

  init(from reader: inout Reader) throws(WireError) {
    leaf = try LeafIndex(from: &reader)
    generation = try reader.readUInt32()
    reuseGuard = try reader.readBytes(count: 4)
  }

  func encode(into writer: inout Writer) {
    writer.write(leaf)
    writer.write(generation)
    writer.writeBytes(reuseGuard)
  }

  /// What seals the sender data: a key from the epoch's secret and a sample of the ciphertext.
  static func key(
    _ suite: Suite, secret: Secret, ciphertext: [UInt8]
  ) throws(MLSError) -> (key: Secret, nonce: [UInt8]) {
    let sample = ciphertext.prefix(suite.hashSize)
    let expander = suite.expander(secret)
    let key = try expander.expand("key", context: sample, length: suite.keySize)
    let nonce = try expander.expand("nonce", context: sample, length: suite.nonceSize)
    return (key, nonce.withBytes { Array($0) })
  }
}
