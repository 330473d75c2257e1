#if DEBUG
import CryptoPrimitives
import E2ECrypto

/// A client that joins by a welcome and follows what the others do, as other implementations recorded it.
enum PassiveClientCheck {
  static func follow(_ vector: JSON) throws {
    guard CipherSuite(rawValue: try vector.uint16("cipher_suite")).isSupported else {
      throw Finding.skipped("cipher suite \(try vector.int("cipher_suite")) is not supported")
    }
    let suite = try CipherSuite(rawValue: vector.uint16("cipher_suite")).algorithms()
    let keyPackage = try KeyPackage(message: vector.hex("key_package"))
    // Refuses private keys that are not those of the package, as joining does with the signature key.
    let bundle = try KeyPackageBundle(
      keyPackage: keyPackage, initKey: vector.secret("init_priv"), leafKey: vector.secret("encryption_priv"))
    let identity = ClientIdentity(
      credential: keyPackage.leafNode.credential,
      signingKey: try SigningKey(scheme: suite.signature, seed: vector.secret("signature_priv")))
    var policy = GroupPolicy()
    policy.acceptsPublicHandshakes = true
    // The recorded leaves' lifetimes are of any length, and over.
    policy.maxLifetime = .max
    let tree = try vector.field("ratchet_tree")
    let join = try Group.join(
      welcome: vector.hex("welcome"), keyPackage: bundle, identity: identity,
      ratchetTree: tree.isNull ? nil : tree.hex,
      psks: vector.list("external_psks").map {
        ExternalPSK(id: try $0.hex("psk_id"), secret: try $0.secret("psk"))
      }, policy: policy)
    var group = join.adopt()
    try vector.expect("initial_epoch_authenticator", group.epochAuthenticator)
    for epoch in try vector.list("epochs") {
      for proposal in try epoch.list("proposals") {
        guard case .proposal = try group.receive(proposal.hex) else { throw Finding.failed("not a proposal") }
      }
      // Through storage and back, as a client that is restarted would.
      group = try Group(restoring: group.encodeState(), identity: identity, policy: policy)
      guard case .commit(let commit) = try group.receive(epoch.hex("commit")) else {
        throw Finding.failed("not a commit")
      }
      try group.merge(commit)
      try epoch.expect("epoch_authenticator", group.epochAuthenticator)
    }
  }
}
#endif
