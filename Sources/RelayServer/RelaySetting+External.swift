/// The settings of the one other issuer whose tokens are exchanged for sessions.
extension RelaySetting {
  static let external: [RelaySetting] = [
    text(
      "external-issuer", \.externalIssuer,
      "Single sign-on: the `iss` of another issuer's tokens that are exchanged for sessions here. Empty: none are.",
      where: { $0.isEmpty || isTokenText($0) }),
    text(
      "external-audience", \.externalAudience,
      "What those tokens must name in their `aud`: this relay as the issuer knows it.",
      where: { $0.isEmpty || isTokenText($0) }),
    file(
      "external-jwks-file", \.externalJWKSFile,
      "File with the issuer's public keys, a JWK Set. Read again by SIGHUP and when a token names an unknown key."),
    text(
      "external-jwks-url", \.externalJWKSURL,
      "Instead: where the issuer publishes them, an https URL (http only on this machine). Redirects are not followed.",
      where: { $0.isEmpty || ExternalIssuer.isKeyURL($0) }),
    file(
      "external-jwks-authorities", \.externalAuthoritiesFile,
      "PEM file of the authorities that the certificate at that URL must come from; empty: the system's."),
    duration(
      "external-jwks-interval", \.externalJWKSInterval, 60...86_400,
      "How often the issuer's keys are read again without need: so long at most a key that it withdrew is still taken."),
    text(
      "external-username-claim", \.externalUsernameClaim,
      "The claim that names a new account, in lower case, up to an `@`. Where it gives no username the person chooses.",
      where: isTokenText),
    RelaySetting(
      name: "external-registration",
      documentation:
        "Whether people of the issuer without an account get one: `same` as `registration` says, `open`: the issuer's word is enough, `closed`: nobody.",
      set: { configuration, text in
        guard let registration = ExternalRegistration(rawValue: text) else { return false }
        configuration.externalRegistration = registration
        return true
      }, get: { $0.externalRegistration.rawValue }),
  ]
}
