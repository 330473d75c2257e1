public import CryptoPrimitives

/// Who this client is: its credential, and the key that it signs with.
public struct ClientIdentity: Sendable {
  public let credential: Credential
  public let signingKey: SigningKey

  public init(credential: Credential, signingKey: SigningKey) {
    self.credential = credential
    self.signingKey = signingKey
  }

  /// Throws if the credential is none that others could read.
  func requireUsable() throws(MLSError) {
    guard credential.isWellFormed else { throw MLSError(.outOfBounds) }
  }
}
