import RelayProtocol

/// Who an account is at another issuer: an administrator's word is the only way for an account that exists to get an identity.
extension AdminVerb {
  static let identities: [AdminVerb] = [
    AdminVerb("users identities", "USER") { work async throws(SubcommandFailure) in
      try await rows(of: try await work.account(work.parameters[0]), work)
    },
    AdminVerb("users link", "USER", "ISSUER", "SUBJECT") { work async throws(SubcommandFailure) in
      let account = try await work.account(work.parameters[0])
      let identity = try identity(work)
      try await work.run { () throws(RelayError) in
        try await work.store.link(identity, to: account.id, work.record("users link", "\(account.id)"))
      }
      return try await rows(of: account, work)
    },
    AdminVerb("users unlink", "USER", "ISSUER", "SUBJECT") { work async throws(SubcommandFailure) in
      let account = try await work.account(work.parameters[0])
      let identity = try identity(work)
      let ended = try await work.run { () throws(RelayError) in
        try await work.store.unlink(identity, from: account.id, work.record("users unlink", "\(account.id)"))
      }
      work.ended(ended)
      return [AdminRow([("user", .text("\(account.id)")), ("ended", .number(UInt64(ended.count)))])]
    },
  ]

  private static func identity(_ work: Admin.Work) throws(SubcommandFailure) -> ExternalIdentity {
    let (issuer, subject) = (work.parameters[1], work.parameters[2])
    guard RelaySetting.isTokenText(issuer), ExternalIdentity.isSubject(subject) else {
      throw SubcommandFailure(
        "ISSUER and SUBJECT are the `iss` and `sub` of the person's tokens: plain text",
        exitCode: SubcommandFailure.usage)
    }
    return ExternalIdentity(issuer: issuer, subject: subject)
  }

  private static func rows(
    of account: AccountRecord, _ work: Admin.Work
  ) async throws(SubcommandFailure) -> [AdminRow] {
    try await work.run { () throws(RelayError) in try await work.store.identities(of: account.id) }.map { identity in
      AdminRow([
        ("username", .text(account.username)), ("issuer", .text(identity.issuer)), ("subject", .text(identity.subject)),
      ])
    }
  }
}
