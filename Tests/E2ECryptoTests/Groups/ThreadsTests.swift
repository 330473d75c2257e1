import CryptoPrimitives
import Testing

@testable import E2ECrypto

/// What several threads make of a group is what one makes of it.
@Suite struct ThreadsTests {
  private func groupOf40(_ change: (inout [KeyPackage]) -> Void = { _ in }) throws -> Members {
    var policy = GroupPolicy()
    policy.maxThreads = 4
    let creator = try Client.create("member 0", policy: policy)
    let invitees = try (1..<40).map { try Invitee("member \($0)") }
    var packages = invitees.map(\.keyPackage)
    change(&packages)
    let pending = try creator.commit(packages.map { .add($0) })
    let welcome = try pending.requireWelcome()
    try creator.group.merge(pending)
    let joined = try invitees.map { invitee in
      let join = try Group.join(
        welcome: welcome, keyPackage: invitee.bundle, identity: invitee.identity, policy: policy)
      return Client(invitee.name, suite: creator.suite, identity: invitee.identity, group: join.adopt())
    }
    return Members([creator] + joined)
  }

  @Test func membersAgree() throws {
    var members = try groupOf40()
    try members.expectAgreement(talking: false)
    var options = CommitOptions()
    options.forcesPath = true
    // The tree is still bare, so that this one is sealed to each member by itself.
    try members.commit(by: 0, options: options)
    try members.commit(by: 39, [.remove(LeafIndex(7))])
    try members.expectAgreement(talking: false)
  }

  /// Of several bad key packages the first is reported, whichever thread comes upon one first.
  @Test(arguments: [(5, 6), (0, 38), (30, 31)])
  func theFirstFaultIsReported(_ first: Int, _ second: Int) throws {
    #expect(throws: MLSError.rejected(.keyPackageSignature)) {
      try groupOf40 { packages in
        packages[first] = packages[first].withoutSignature()
        packages[second] = packages[second].withTwoKeysAlike()
      }
    }
    #expect(throws: MLSError.rejected(.keyPackageKeysDiffer)) {
      try groupOf40 { packages in
        packages[first] = packages[first].withTwoKeysAlike()
        packages[second] = packages[second].withoutSignature()
      }
    }
  }
}

extension KeyPackage {
  fileprivate func withoutSignature() -> KeyPackage {
    KeyPackage(cipherSuite: cipherSuite, initKey: initKey, leafNode: leafNode, extensions: extensions)
  }

  fileprivate func withTwoKeysAlike() -> KeyPackage {
    KeyPackage(
      cipherSuite: cipherSuite, initKey: leafNode.encryptionKey, leafNode: leafNode, extensions: extensions)
  }
}
