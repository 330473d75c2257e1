import CryptoPrimitives
import WireCodec

/// What a component does with the group's keys, bound to its number and to a label of its own
/// (draft-ietf-mls-extensions section 4.1): SafeSignWithLabel, SafeEncryptWithLabel and their counterparts.
struct ComponentOperation {
  let suite: Suite
  /// ComponentOperationLabel.
  let label: [UInt8]

  init(_ suite: Suite, _ component: ComponentID, _ label: String) {
    var writer = Writer()
    writer.writeVector("MLS Component".utf8)
    writer.write(component)
    writer.writeVector(label.utf8)
    self.suite = suite
    self.label = writer.bytes
  }

  /// SignContent or EncryptContext (RFC 9420 sections 5.1.2 and 5.1.3).
  private func labelled(_ content: [UInt8]) -> [UInt8] {
    var writer = Writer(reserving: label.count + content.count + 32)
    writer.writeLabel(label)
    writer.writeVector(content)
    return writer.bytes
  }

  func sign(_ content: [UInt8], with key: SigningKey) throws(MLSError) -> [UInt8] {
    guard key.scheme == suite.signature else { throw MLSError(.identityMismatch) }
    do { return try key.sign(labelled(content)) } catch { throw MLSError(.fault) }
  }

  func isValid(_ signature: [UInt8], of content: [UInt8], key: [UInt8]) -> Bool {
    suite.signature.verify(publicKey: key, message: labelled(content), signature: signature)
  }

  func seal(_ plaintext: Secret, to key: [UInt8], context: [UInt8]) throws(MLSError) -> HPKECiphertext {
    do {
      let sealed = try suite.hpke.seal(to: key, info: suite.hpke.prepare(info: labelled(context)), plaintext: plaintext)
      return HPKECiphertext(kemOutput: sealed.kemOutput, ciphertext: sealed.ciphertext)
    } catch { throw MLSError.rejected(.leafKeysWellFormed) }
  }

  func open(_ sealed: HPKECiphertext, with key: HPKEPrivateKey, context: [UInt8]) throws(MLSError) -> Secret {
    do {
      return try suite.hpke.openSecret(
        sealed.ciphertext, kemOutput: sealed.kemOutput, with: key, info: labelled(context))
    } catch { throw MLSError(.decryptionFailed) }
  }
}
