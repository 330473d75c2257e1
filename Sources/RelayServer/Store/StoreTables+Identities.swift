import RelayProtocol
import Storage

/// Who an account is at another issuer, and which of that issuer's tokens were redeemed.
extension StoreTables {
  func link(_ identity: ExternalIdentity, to user: UserID) throws {
    let account = try account(user)
    let owner = try database.first(
      "SELECT account FROM identity WHERE issuer = \(identity.issuer) AND subject = \(identity.subject)"
    ) { try $0.integer(0) }
    if owner == account { return }
    try execute(
      """
      INSERT INTO identity (issuer, subject, account)
      VALUES (\(identity.issuer), \(identity.subject), \(account))
      """, ifTaken: RelayError(.identityInUse, "The identity belongs to another account."))
  }

  /// Returns the account's sessions, which end by it: nobody can tell which of them began with that identity.
  func unlink(_ identity: ExternalIdentity, from user: UserID) throws -> [UInt64] {
    let account = try account(user)
    let changed = try database.execute(
      """
      DELETE FROM identity
      WHERE issuer = \(identity.issuer) AND subject = \(identity.subject) AND account = \(account)
      """)
    guard changed == 1 else { throw RelayError(.notFound, "The account has no such identity.") }
    return try endSessions(of: account, only: nil)
  }

  /// Throws `identityUnknown` unless the identity is the account's. It stays so until the transaction ends: who takes it away
  /// finds the session that began by it.
  func require(_ identity: ExternalIdentity, of user: UserID) throws {
    let owner = try database.first(
      """
      SELECT account.id FROM identity JOIN account ON account.key = identity.account
      WHERE identity.issuer = \(identity.issuer) AND identity.subject = \(identity.subject) \(lock: "identity")
      """
    ) { try $0.identifier(0, as: UserID.self) }
    guard owner == user else {
      throw RelayError(.identityUnknown, "No account belongs to whom the token names.")
    }
  }

  /// Throws `externalTokenInvalid` for a token that was redeemed before. The primary key decides between two at once.
  func redeem(_ redemption: Redemption) throws {
    try database.execute("DELETE FROM redeemed_token WHERE expires <= \(redemption.now)")
    try execute(
      "INSERT INTO redeemed_token (hash, expires) VALUES (\(redemption.hash), \(redemption.expires))",
      ifTaken: RelayError(.externalTokenInvalid, "The token is not good, or not any more."))
  }
}
