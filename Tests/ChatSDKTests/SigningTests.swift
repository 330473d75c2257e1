import ChatTestKit
import CryptoPrimitives
import FoundationEssentials
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// What a relay can have clients sign by what it answers (docs/threat-model.md, class 53).
@Suite struct SigningTests {
  /// A relay that names another account or device at a login is not believed: no key is bound to what it chose.
  @Test(arguments: ["user", "device"])
  func relayDoesNotChooseWhoOneIs(_ what: String) async throws {
    let world = try await World("alice", "bob")
    let alice = try await world.client("alice")
    let bob = try await world.client("bob").context.identity()
    let before = try await alice.context.identity()
    try await world.member("alice").wire?.setTamper { call, answer in
      guard call.path.hasSuffix("/v1/sessions"),
        let said = try? JSONDecoder().decode(SessionResponse.self, from: Data(answer.body)),
        let body = try? JSONEncoder().encode(
          SessionResponse(
            user: what == "user" ? bob.user : said.user, username: said.username,
            device: what == "device" ? bob.device.device : said.device, accessToken: said.accessToken,
            expiresIn: said.expiresIn, refreshToken: said.refreshToken))
      else { return answer }
      return RelayAnswer(status: answer.status, body: Array(body))
    }
    await #expect(throws: ChatError(.identityInvalid)) {
      try await alice.login(as: "alice", password: Password("password of alice"))
    }
    let after = try await alice.context.identity()
    #expect(after.user == before.user && after.device == before.device)
    await world.end()
  }

  /// Each kind of signature begins with a label of its own, so that none can pass for another, whatever room, epoch and
  /// ids a relay makes up.
  @Test func noSignatureIsOfTwoKinds() async throws {
    let world = try await World("alice")
    let identity = try await world.client("alice").context.identity()
    let list = DeviceList(
      user: identity.user, accountKey: identity.accountKey.publicKey, number: 1, previous: [], issued: 1,
      devices: [identity.device])
    let credential = DeviceCredential.signedBytes(
      user: identity.user, entry: identity.device, accountKey: identity.accountKey.publicKey)
    let bytes = [SignedDeviceList.signedBytes(of: list), credential]
    // A vector's length, then the label: neither text begins with the other.
    let labels = try bytes.map { bytes in
      var reader = Reader(bytes)
      return String(decoding: try reader.readVector(max: 64), as: UTF8.self)
    }
    #expect(Set(labels).count == 2 && labels.allSatisfy { $0.hasPrefix("Kin 1.0 ") })
    for (text, other) in [(bytes[0], bytes[1]), (bytes[1], bytes[0])] {
      let signature = try identity.accountKey.sign(text)
      let key = identity.accountKey.publicKey
      #expect(SignatureScheme.ed25519.verify(publicKey: key, message: text, signature: signature))
      #expect(!SignatureScheme.ed25519.verify(publicKey: key, message: other, signature: signature))
    }
    // A proof of deletion is for its room, by its owner's device, and no way in.
    let (room, other) = (RoomID(high: 1, low: 2), RoomID(high: 1, low: 3))
    let proof = try DeletionProof.make(room: room, identity)
    #expect(proof.isValid(room: room, by: identity.device.signatureKey))
    #expect(!proof.isValid(room: other, by: identity.device.signatureKey))
    let leaf = CommitClaim.Leaf(
      user: identity.user, device: identity.device.device, signatureKey: identity.device.signatureKey,
      accountKey: identity.accountKey.publicKey, added: 0, invite: nil)
    let keys = InviteKeys(
      verifying: identity.device.signatureKey, sealing: [UInt8](repeating: 1, count: 32), madeBy: identity.user,
      expires: 0, uses: 0)
    #expect(!JoinAuthority.isValid(proof.signature, by: keys, leaf, room: room, epoch: 1))
    let secret = try InviteSecret.random()
    guard case .invite(_, let signature) = try JoinAuthority.invite(secret, leaf, room: room, epoch: 1) else { return }
    let linked = secret.keys(madeBy: identity.user, expires: 0, uses: 0)
    #expect(JoinAuthority.isValid(signature, by: linked, leaf, room: room, epoch: 1))
    #expect(!JoinAuthority.isValid(signature, by: linked, leaf, room: other, epoch: 1))
    #expect(!JoinAuthority.isValid(signature, by: linked, leaf, room: room, epoch: 2))
    await world.end()
  }
}
