import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// draft-ietf-mls-extensions sections 4.2 to 4.4: the group's keys in the hands of components.
@Suite struct ComponentKeyTests {
  let members: Members
  var alice: Client { members[0] }
  var bob: Client { members[1] }
  let one = ComponentID(0x8000)
  let two = ComponentID(0x8001)

  init() throws { members = try Members(3) }

  @Test func exportsAgreeAndAreGivenOnce() throws {
    let edges = [ComponentID(0), one, two, ComponentID(0x8002), ComponentID(0xffff)]
    var seen: Set<[UInt8]> = []
    for component in edges {
      let secret = try alice.group.safeExport(for: component)
      #expect(try bob.group.safeExport(for: component) == secret)
      #expect(secret.count == 32 && seen.insert(secret.withBytes { Array($0) }).inserted)
      for client in [alice, bob] {
        #expect(throws: MLSError(.keyConsumed)) { _ = try client.group.safeExport(for: component) }
      }
    }
    // The order does not matter, and what was not taken is still there after a restart.
    let restored = try alice.restored()
    #expect(throws: MLSError(.keyConsumed)) { _ = try restored.group.safeExport(for: two) }
    let fresh = try members[2].restored()
    for component in edges.reversed() + [ComponentID(0x1234)] { _ = try fresh.group.safeExport(for: component) }
    #expect(
      try restored.group.safeExport(for: ComponentID(0x4321)) == fresh.group.safeExport(for: ComponentID(0x4321)))
  }

  @Test func theTreeIsThatOfTheDraft() throws {
    // By hand: from the root down sixteen times, by the bits of the number.
    let suite = alice.suiteOf
    let root = Secret.random(count: suite.hashSize)
    for number: UInt16 in [0, 1, 0x8000, 0xaaaa, 0xffff] {
      var expected = root
      for bit in (0..<16).reversed() {
        let side = number >> UInt16(bit) & 1 == 0 ? "left" : "right"
        expected = try suite.expandWithLabel(
          expected, "tree", context: Array(side.utf8), length: suite.hashSize)
      }
      var tree = ExporterTree(root)
      #expect(try tree.take(suite, ComponentID(number)) == expected)
    }
  }

  @Test func takenSecretsAreNotInTheState() throws {
    func state() -> [UInt8] { alice.group.encodeMessagePart().withBytes { Array($0) } }
    var twin = alice.group.state.exporterTree
    let secret = try twin.take(alice.suiteOf, one)
    let neighbour = try twin.take(alice.suiteOf, two)
    #expect(try alice.group.safeExport(for: one) == secret)
    // The neighbour's waits there; the other is gone, and so is everything that leads to it.
    #expect(contains(state(), neighbour) && !contains(state(), secret))
    _ = try alice.group.safeExport(for: two)
    #expect(!contains(state(), neighbour))
  }

  private func contains(_ bytes: [UInt8], _ secret: Secret) -> Bool {
    let wanted = secret.withBytes { Array($0) }
    return bytes.indices.contains { bytes[$0...].starts(with: wanted) }
  }

  @Test func eachEpochHasItsOwn() throws {
    var members = members
    let before = try alice.group.safeExport(for: one)
    try members.commit(by: 1)
    let after = try alice.group.safeExport(for: one)
    let theirs = try bob.group.safeExport(for: one)
    #expect(after != before && after == theirs)
    try members.commit(by: 0, [.remove(LeafIndex(1))])
    #expect(throws: MLSError(.inactive)) { _ = try self.members[1].group.safeExport(for: one) }
  }

  @Test func signaturesAreBoundToComponentAndLabel() throws {
    let signature = try alice.group.safeSign([1, 2], label: "label", for: one)
    func isValid(
      _ content: [UInt8] = [1, 2], label: String = "label", for component: ComponentID? = nil, by leaf: UInt32 = 0
    ) -> Bool {
      bob.group.isValidSafeSignature(
        signature, of: content, label: label, for: component ?? one, by: LeafIndex(leaf))
    }
    #expect(isValid())
    #expect(!isValid([1, 3]) && !isValid(label: "other") && !isValid(for: two) && !isValid(by: 1) && !isValid(by: 9))
    // Nor does it pass for a signature of MLS itself.
    let key = alice.identity.signingKey.publicKey
    #expect(!alice.suiteOf.isValid(signature: signature, key: key, "label") { $0.writeBytes([1, 2]) })
    let label: [UInt8] = [13] + Array("MLS Component".utf8) + [0x80, 0, 5] + Array("label".utf8)
    #expect(ComponentOperation(alice.suiteOf, one, "label").label == label)
  }

  @Test func sealedIsForOneMemberAndComponent() throws {
    let secret = Secret(copying: [1, 2, 3])
    let sealed = try alice.group.safeSeal(secret, to: LeafIndex(1), label: "label", context: [9], for: one)
    #expect(try bob.group.safeOpen(sealed, label: "label", context: [9], for: one) == secret)
    let failed = MLSError(.decryptionFailed)
    #expect(throws: failed) { _ = try bob.group.safeOpen(sealed, label: "label", context: [9], for: two) }
    #expect(throws: failed) { _ = try bob.group.safeOpen(sealed, label: "other", context: [9], for: one) }
    #expect(throws: failed) { _ = try bob.group.safeOpen(sealed, label: "label", context: [], for: one) }
    #expect(throws: failed) { _ = try alice.group.safeOpen(sealed, label: "label", context: [9], for: one) }
    #expect(throws: MLSError(.malformed)) { _ = try bob.group.safeOpen([1], label: "label", for: one) }
    #expect(throws: MLSError(.unknownSender)) {
      _ = try alice.group.safeSeal(secret, to: LeafIndex(7), label: "label", for: one)
    }
    // With the member's next key it is too late.
    var members = members
    try members.commit(by: 1)
    #expect(throws: failed) { _ = try bob.group.safeOpen(sealed, label: "label", context: [9], for: one) }
  }
}
