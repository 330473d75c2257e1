import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// RFC 9420 sections 5.3 and 13.3: credentials other than basic ones.
@Suite struct CredentialTypeTests {
  private func identity(_ credential: Credential) -> ClientIdentity {
    ClientIdentity(credential: credential, signingKey: .generate())
  }

  @Test(arguments: [
    Credential.x509([[0x30, 1, 2], [0x30, 3]]), .custom(type: 0xf00d, data: [1, 2, 3]), .custom(type: 3, data: []),
  ])
  func carriedWhereAllSupportTheType(_ credential: Credential) throws {
    #expect(try Credential(decoding: credential.encoded) == credential)
    let capabilities = Capabilities(extensions: [0xff01], credentials: [1, credential.type])
    var members = try Members(2, capabilities: capabilities)
    let special = try Invitee("special", capabilities: capabilities, identity: identity(credential))
    let effects = try members.commit(by: 0, joining: [special])
    #expect(effects.added.map(\.credential) == [credential])
    members = try members.restored()
    try members.expectAgreement()
    #expect(try members[0].read(try members[2].say("hello")).senderCredential == credential)
    // While it is there, nobody may come or change who does not know the type.
    #expect(throws: MLSError.rejected(.leafCredentialSupport)) {
      try members[1].attempt([.add(try Invitee("plain").keyPackage)])
    }
    let forgetful = try members[1].updateLeaf { $0.capabilities.credentials = [1] }
    try members[0].note(try members[1].forge(.proposal(.update(forgetful))))
    #expect(try members[0].commit().effects.proposals.isEmpty, "the update would make the group contradict itself")
  }

  @Test func refusedWhereOneDoesNot() throws {
    let members = try Members(2)
    let special = try Invitee("special", identity: identity(.custom(type: 0xf00d, data: [1])))
    // It lists its own type, as it must; the others do not.
    #expect(special.keyPackage.leafNode.capabilities.credentials == [1, 0xf00d])
    try expectRefusal(
      .leafCredentialSupport, by: members[1], of: try members[0].forgeCommit([.add(special.keyPackage)]))
    #expect(throws: MLSError.rejected(.leafCredentialSupport)) { try members[0].attempt([.add(special.keyPackage)]) }
    try members.expectAgreement()
  }

  @Test func aFormThatIsNotOursIsUnsupported() throws {
    for body: [UInt8] in [[], [9, 1], [0x40, 1, 1]] {
      let bytes = [0xf0, 0x0d] + body
      #expect(throws: WireError(.unknownType)) { try Credential(decoding: bytes) }
    }
    // A chain whose certificates do not fill it is another matter: that form is known.
    #expect(throws: WireError(.truncated)) { try Credential(decoding: [0, 2, 2, 5, 1]) }
  }

  @Test func aCredentialCannotPassForAnother() throws {
    // As bytes each would be a basic credential, or nothing that could be read again.
    for credential in [
      Credential.custom(type: 1, data: [1]), .custom(type: 2, data: []), .custom(type: 0, data: []),
      .basic(identity: [UInt8](repeating: 0, count: Bounds.identity + 1)), .x509([]),
    ] {
      #expect(throws: MLSError(.outOfBounds)) { try Client.create("x", identity: identity(credential)) }
      #expect(throws: MLSError(.outOfBounds)) { _ = try Invitee("x", identity: identity(credential)) }
    }
  }
}
