import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// A client that joins by a welcome and follows what the others do, as other implementations recorded it.
@Suite struct PassiveClientTests {
  @Test(arguments: ["passive-client-welcome", "passive-client-handling-commit"])
  func follows(_ file: String) throws {
    var epochs = 0
    try VectorFile.each(file) { vector in
      let suite = try vector.suite()
      let keyPackage = try KeyPackage(message: vector["key_package"].hex)
      let bundle = try KeyPackageBundle(
        keyPackage: keyPackage, initKey: vector["init_priv"].secret, leafKey: vector["encryption_priv"].secret)
      let identity = ClientIdentity(
        credential: keyPackage.leafNode.credential,
        signingKey: try SigningKey(scheme: suite.signature, seed: vector["signature_priv"].secret))
      var policy = GroupPolicy()
      policy.acceptsPublicHandshakes = true
      policy.maxLifetime = .max
      let join = try Group.join(
        welcome: vector["welcome"].hex, keyPackage: bundle, identity: identity,
        ratchetTree: vector["ratchet_tree"].isNull ? nil : vector["ratchet_tree"].hex,
        psks: vector["external_psks"].list.map { ExternalPSK(id: $0["psk_id"].hex, secret: $0["psk"].secret) },
        policy: policy)
      var group = join.adopt()
      expectEqual(group.epochAuthenticator, vector["initial_epoch_authenticator"].hex, "initial authenticator")
      for epoch in vector["epochs"].list {
        for proposal in epoch["proposals"].list {
          guard case .proposal = try group.receive(proposal.hex) else {
            Issue.record("not a proposal")
            return
          }
        }
        // Through storage and back, as a client that is restarted would.
        group = try Group(restoring: group.encodeState(), identity: identity, policy: policy)
        guard case .commit(let commit) = try group.receive(epoch["commit"].hex) else {
          Issue.record("not a commit")
          return
        }
        try group.merge(commit)
        expectEqual(group.epochAuthenticator, epoch["epoch_authenticator"].hex, "authenticator")
        epochs += 1
      }
    }
    print("vectors: \(file): followed \(epochs) epochs")
  }
}
