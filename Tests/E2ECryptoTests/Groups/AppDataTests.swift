import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// draft-ietf-mls-extensions sections 4.6 to 4.8: data of the application's components, in the group context and beside
/// commits.
@Suite struct AppDataTests {
  /// Keeps a sum of bytes; a zero is no valid update, nor a valid ephemeral.
  struct Sum: ApplicationComponent {
    func updated(_ current: [UInt8]?, by updates: [[UInt8]]) -> [UInt8]? {
      guard !updates.joined().contains(0) else { return nil }
      return [((current ?? []) + updates.joined()).reduce(0, &+)]
    }

    func accepts(ephemeral data: [UInt8]) -> Bool { !data.contains(0) }
  }

  static let (title, sum) = (ComponentID(0x8001), ComponentID(0x8002))
  static let capabilities = Capabilities(
    extensions: [0xff01, Extension.appDataDictionaryType], proposals: [8, 9, Proposal.selfRemoveType])

  static var policy: GroupPolicy {
    var policy = GroupPolicy()
    policy.components = [title: ReplacingComponent(), sum: Sum()]
    return policy
  }

  private func members(_ count: Int, extensions: [Extension] = []) throws -> Members {
    try Members(count, capabilities: Self.capabilities, extensions: extensions, policy: Self.policy)
  }

  private func update(_ component: ComponentID, _ data: UInt8...) -> Proposal {
    .appDataUpdate(AppDataUpdate(component: component, operation: .update(data)))
  }

  private func remove(_ component: ComponentID) -> Proposal {
    .appDataUpdate(AppDataUpdate(component: component, operation: .remove))
  }

  private func ephemeral(_ component: ComponentID, _ data: UInt8...) -> Proposal {
    .appEphemeral(AppEphemeral(component: component, data: data))
  }

  private func dictionary(of client: Client) throws -> AppDataDictionary? { try client.group.extensions.appData() }

  private func expectListRefused(
    _ rule: Rule, _ proposals: [Proposal], in members: Members, _ place: SourceLocation = #_sourceLocation
  ) throws {
    try expectRefusal(
      rule, by: members[1], of: try members[0].forgeCommit(proposals, path: try members[0].path().path), place)
    #expect(throws: MLSError.rejected(rule), sourceLocation: place) { try members[0].attempt(proposals) }
  }

  @Test func updatesAreAppliedInOrder() throws {
    var members = try members(3)
    let first = try members.commit(by: 0, [update(Self.sum, 1, 2), update(Self.title, 7), update(Self.sum, 4)])
    #expect(first.updated.isEmpty, "no path is asked for")
    let change = try #require(first.extensionsChanged)
    #expect(change.before.isEmpty && change.after == members[2].group.extensions)
    #expect(try dictionary(of: members[2]) == AppDataDictionary([Self.sum: [7], Self.title: [7]]))
    try members.expectAgreement()

    // By reference and by value, with a member who joins, and across a restart.
    let message = try members[1].group.propose(update(Self.sum, 10), now: someday)
    for place in [0, 2] { try members[place].note(message) }
    members = try members.restored()
    let invitee = try Invitee("late", capabilities: Self.capabilities)
    try members.commit(by: 2, [remove(Self.title), update(Self.sum, 100)], joining: [invitee])
    for member in members.all { #expect(try dictionary(of: member) == AppDataDictionary([Self.sum: [117]])) }
    try members.expectAgreement()
    // The last one gone, the dictionary stays, empty.
    try members.commit(by: 0, [remove(Self.sum)])
    #expect(try dictionary(of: members[1]) == AppDataDictionary())
    try members.expectAgreement()
  }

  @Test func otherExtensionsChangeBesideIt() throws {
    var members = try members(2, extensions: [.appData(AppDataDictionary([Self.sum: [5]]))])
    let other = Extension(type: 0xff01, data: [9])
    let change = Proposal.groupContextExtensions([other, .appData(AppDataDictionary([Self.sum: [6]]))])
    try members.commit(by: 0, [update(Self.sum, 1), change])
    // The update works on what the new extensions say.
    #expect(members[1].group.extensions == [other, .appData(AppDataDictionary([Self.sum: [7]]))])
    try members.expectAgreement()
  }

  @Test func dictionariesAreSorted() throws {
    var dictionary = AppDataDictionary([Self.sum: [1], ComponentID(3): [2]])
    dictionary[Self.title] = [3]
    #expect(dictionary.components == [ComponentID(3), Self.title, Self.sum])
    #expect(try AppDataDictionary(decoding: dictionary.encoded) == dictionary)
    dictionary[Self.title] = nil
    dictionary[ComponentID(4)] = nil
    #expect(dictionary == AppDataDictionary([Self.sum: [1], ComponentID(3): [2]]))

    let members = try members(2)
    for bytes: [UInt8] in [[8, 0, 2, 1, 9, 0, 1, 1, 9], [8, 0, 2, 1, 9, 0, 2, 1, 9], [4, 0, 2, 2, 9], [1], []] {
      let broken = Extension(type: Extension.appDataDictionaryType, data: bytes)
      try expectListRefused(.dictionaryWellFormed, [.groupContextExtensions([broken])], in: members)
      try expectRefusal(
        .dictionaryWellFormed, by: members[1],
        of: try members[0].forge(.proposal(.groupContextExtensions([broken]))))
      #expect(throws: MLSError.rejected(.dictionaryWellFormed)) { try self.members(1, extensions: [broken]) }
      // In a leaf it is nobody's business, until the group has a dictionary of its own.
      let invitee = try Invitee("x", capabilities: Self.capabilities).forged { $0.extensions = [broken] }
      _ = try members[0].commit([.add(invitee)])
      let strict = try self.members(2, extensions: [.appData(AppDataDictionary())])
      try expectListRefused(.dictionaryWellFormed, [.add(invitee)], in: strict)
    }
    try members.expectAgreement()
  }

  @Test func aWelcomeWithABrokenDictionaryIsDeclined() throws {
    let members = try members(2)
    let invitee = try Invitee("x", capabilities: Self.capabilities)
    var (context, nodes) = try members[0].withMember(invitee)
    context.extensions = [Extension(type: Extension.appDataDictionaryType, data: [1])]
    let welcome = try members[0].forgeWelcome(to: invitee, context: context, tree: nodes.encoded)
    #expect(throws: MLSError.rejected(.dictionaryWellFormed)) { try invitee.join(welcome) }
  }

  @Test func componentsAreKnown() throws {
    let members = try members(2)
    let stranger = ComponentID(0x8003)
    try expectListRefused(.appDataComponentKnown, [update(stranger, 1)], in: members)
    try expectListRefused(.appDataComponentKnown, [remove(stranger)], in: members)
    try expectListRefused(.appDataComponentKnown, [ephemeral(stranger, 1)], in: members)
    try expectRefusal(
      .appDataComponentKnown, by: members[1], of: try members[0].forge(.proposal(update(stranger, 1))))
    try members.expectAgreement()
  }

  @Test func oneRemovalOrUpdates() throws {
    let members = try members(2, extensions: [.appData(AppDataDictionary([Self.sum: [5]]))])
    for list in [
      [remove(Self.sum), remove(Self.sum)], [update(Self.sum, 1), remove(Self.sum)],
      [remove(Self.sum), update(Self.sum, 1)],
    ] { try expectListRefused(.appDataOneOperation, list, in: members) }
    // Of those that come from others, ours takes what can stand together.
    let later = try members[1].group.propose(update(Self.sum, 1), now: someday)
    try members[0].note(try members[1].group.propose(remove(Self.sum), now: someday))
    try members[0].note(later)
    #expect(try members[0].commit().effects.proposals.count == 1)
  }

  @Test func removalsNameWhatIsThere() throws {
    let members = try members(2, extensions: [.appData(AppDataDictionary([Self.sum: [5]]))])
    try expectListRefused(.appDataRemovePresent, [remove(Self.title)], in: members)
    let none = try self.members(2)
    try expectListRefused(.appDataRemovePresent, [remove(Self.sum)], in: none)
  }

  @Test func theComponentHasItsSay() throws {
    var members = try members(3)
    try expectListRefused(.appDataAccepted, [update(Self.sum, 1, 0)], in: members)
    // Too much for the group context, which those who join must be able to read.
    let large = [UInt8](repeating: 1, count: Bounds.customProposal)
    members[1].group.policy.components[Self.title] = Hoarder()
    members[0].group.policy.components[Self.title] = Hoarder()
    let pile = (0..<5).map { _ in
      Proposal.appDataUpdate(AppDataUpdate(component: Self.title, operation: .update(large)))
    }
    try expectListRefused(.appDataAccepted, pile, in: members)
    for member in members.all { member.group.policy = Self.policy }

    try expectListRefused(.appEphemeralAccepted, [ephemeral(Self.sum, 0)], in: members)
    try expectRefusal(
      .appEphemeralAccepted, by: members[1], of: try members[0].forge(.proposal(ephemeral(Self.sum, 0))))
    // A bad update by another keeps nobody from committing, nor a leaver from leaving.
    let bad = try members[1].group.propose(update(Self.sum, 0), now: someday)
    for place in [0, 2] { try members[place].note(bad) }
    let removal = try members[1].group.propose(.remove(LeafIndex(2)), now: someday)
    for place in [0, 2] { try members[place].note(removal) }
    #expect(try members.commit(by: 0).removed.map(\.leafIndex) == [LeafIndex(2)])
    try members.expectAgreement()
  }

  private struct Hoarder: ApplicationComponent {
    func updated(_ current: [UInt8]?, by updates: [[UInt8]]) -> [UInt8]? { Array(updates.joined()) }
  }

  @Test func ephemeralsChangeNothing() throws {
    var members = try members(3)
    let before = members[0].group.extensions
    let message = try members[1].group.propose(ephemeral(Self.sum, 3), now: someday)
    for place in [0, 2] { try members[place].note(message) }
    let effects = try members.commit(by: 0, [ephemeral(Self.title, 0)])
    #expect(effects.proposals.map(\.proposal) == [ephemeral(Self.sum, 3), ephemeral(Self.title, 0)])
    #expect(effects.updated.isEmpty && effects.extensionsChanged == nil && members[2].group.extensions == before)
    try members.expectAgreement()
  }

  @Test func whereUpdatesAreRequiredNothingElseChangesTheDictionary() throws {
    let required = Extension.requiredCapabilities(RequiredCapabilities(proposals: [8]))
    let now = Extension.appData(AppDataDictionary([Self.sum: [5]]))
    var members = try members(2, extensions: [required, now])
    for list: [Extension] in [[required], [required, .appData(AppDataDictionary())]] {
      try expectListRefused(.dictionaryByUpdate, [.groupContextExtensions(list)], in: members)
      try expectRefusal(
        .dictionaryByUpdate, by: members[1], of: try members[0].forge(.proposal(.groupContextExtensions(list))))
    }
    let other = Extension(type: 0xff01, data: [])
    try members.commit(by: 1, [.groupContextExtensions([other, now, required]), update(Self.sum, 1)])
    #expect(try dictionary(of: members[0]) == AppDataDictionary([Self.sum: [6]]))
    try members.expectAgreement()
  }

  @Test func membersMustKnowTheDictionary() throws {
    let capabilities = Capabilities(extensions: [0xff01], proposals: [8, 9])
    let members = try Members(2, capabilities: capabilities, policy: Self.policy)
    #expect(throws: MLSError.rejected(.groupExtensionsSupported)) { try members[0].attempt([update(Self.sum, 1)]) }
    try expectRefusal(.groupExtensionsSupported, by: members[1], of: try members[0].forgeCommit([update(Self.sum, 1)]))
    // And the proposals: those with neither are told nothing.
    let plain = try Members(2, policy: Self.policy)
    try expectRefusal(.proposalSupported, by: plain[1], of: try plain[0].forgeCommit([ephemeral(Self.sum, 1)]))
    #expect(throws: MLSError(.unsupported)) { try plain[1].note(try plain[0].forge(.proposal(update(Self.sum, 1)))) }
  }

  @Test func outsiders() throws {
    let bot = SigningKey.generate()
    let sender = ExternalSender(signatureKey: bot.publicKey, credential: .basic(identity: [1]))
    var members = try members(2, extensions: [.externalSenders([sender])])
    let proposer = try ExternalProposer(
      PublicGroup(groupInfo: try members[0].group.groupInfo()), signingKey: bot)
    for proposal in [update(Self.sum, 3), ephemeral(Self.title, 1)] {
      let message = try proposer.propose(proposal)
      for member in members.all { try member.note(message) }
    }
    #expect(try members.commit(by: 1).proposals.count == 2)
    let identity = Client.identity("joiner")
    let joining = try Group.joinExternally(
      groupInfo: try members[0].group.groupInfo(), identity: identity, capabilities: Self.capabilities,
      proposals: [update(Self.sum, 4), ephemeral(Self.sum, 1)], policy: Self.policy)
    let message = joining.message
    for member in members.all { try member.follow(message) }
    members.all.append(Client("joiner", suite: members[0].suite, identity: identity, group: joining.adopt()))
    #expect(try dictionary(of: members[2]) == AppDataDictionary([Self.sum: [7]]))
    try members.expectAgreement()
  }

  @Test func lastResortHasBothMarks() throws {
    func bundle(_ capabilities: Capabilities, _ extensions: [Extension] = [], lastResort: Bool = true) throws
      -> KeyPackage
    {
      let bundle = try KeyPackageBundle.generate(
        suite: .x25519ChaCha20Poly1305, identity: Client.identity("x"), capabilities: capabilities, lifetime: someYear,
        extensions: extensions, lastResort: lastResort)
      return try KeyPackage(message: bundle.message)
    }
    let dictionary = Extension.appData(AppDataDictionary([Self.title: [1]]))
    let both = try bundle(Self.capabilities, [dictionary])
    #expect(both.isLastResort && both.extensions[type: Extension.lastResortType] != nil)
    #expect(
      try both.extensions.appData() == AppDataDictionary([.lastResortKeyPackage: [], Self.title: [1]]))
    #expect(try bundle(Capabilities()).extensions == [.lastResort])
    let component = Extension.appData(AppDataDictionary([.lastResortKeyPackage: []]))
    #expect(try bundle(Self.capabilities, [component], lastResort: false).isLastResort)
    #expect(try !bundle(Self.capabilities, [dictionary], lastResort: false).isLastResort)
  }

  @Test func listsOfComponents() throws {
    var dictionary = AppDataDictionary()
    dictionary.appComponents = [.appComponents, .safeAAD, Self.sum]
    #expect(dictionary[.appComponents] == [6, 0, 1, 0, 2, 0x80, 2])
    #expect(dictionary.appComponents == [.appComponents, .safeAAD, Self.sum])
    dictionary[.appComponents] = [3, 1, 2, 3]
    #expect(dictionary.appComponents == nil)
  }
}
