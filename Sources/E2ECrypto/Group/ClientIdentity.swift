public import CryptoPrimitives
import WireCodec

/// Who this client is: its credential, and the key that it signs with.
public struct ClientIdentity: Sendable {
  public let credential: Credential
  public let signingKey: SigningKey

  public init(credential: Credential, signingKey: SigningKey) {
    self.credential = credential
    self.signingKey = signingKey
  }

  /// The identity with its private key, to be stored sealed.
  public func encodeState() -> Secret {
    var writer = SecretWriter()
    encode(into: &writer)
    return writer.finish()
  }

  /// Restores a stored identity.
  /// - Throws: ``MLSError/Code/malformed`` if it is damaged.
  public init(restoring saved: Secret) throws(MLSError) {
    self = try saved.decode { (reader) throws(WireError) in try ClientIdentity(from: &reader) }
  }

  /// Throws if the credential is none that others could read.
  func requireUsable() throws(MLSError) {
    guard credential.isWellFormed else { throw MLSError(.outOfBounds) }
  }
}
