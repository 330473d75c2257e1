/// A validation rule of RFC 9420: its section and, within it, its number in the order of the text. An E before the section
/// stands for draft-ietf-mls-extensions.
///
/// docs/validation.md lists each with the file that checks it and the test that breaks it.
public struct Rule: Hashable, Sendable, CustomStringConvertible {
  /// Section and number, such as `12.2-3`.
  public let name: String

  init(_ name: String) { self.name = name }

  public var description: String { name }
}

extension Rule {
  // MARK: 6 Framing

  /// An external sender is in the external_senders extension.
  public static let externalSenderKnown = Rule("6.1-1")
  /// An external sender sends only proposals, of the types that it may.
  public static let externalSenderProposal = Rule("6.1-2")
  /// A new_member_commit is a commit with a path.
  public static let newMemberCommit = Rule("6.1-3")
  /// A new_member_proposal is an Add.
  public static let newMemberProposal = Rule("6.1-4")
  /// Application data is never sent as a PublicMessage.
  public static let applicationIsPrivate = Rule("6.2-1")
  /// Padding is all zero.
  public static let paddingIsZero = Rule("6.3.1-1")
  /// The leaf that sender data names is not blank.
  public static let senderNotBlank = Rule("6.3.2-1")

  // MARK: 7.1 Parent nodes

  /// Unmerged leaves are in increasing order.
  public static let unmergedSorted = Rule("7.1-1")

  // MARK: 7.3 Leaf nodes

  /// The public keys have the suite's form, and can be sealed to: one that cannot would keep all others from committing.
  public static let leafKeysWellFormed = Rule("7.3-0")
  /// The leaf's signature verifies.
  public static let leafSignature = Rule("7.3-2")
  /// The capabilities contain what the group requires.
  public static let leafRequiredCapabilities = Rule("7.3-3")
  /// All members support the leaf's credential type, and the leaf supports all types in use.
  public static let leafCredentialSupport = Rule("7.3-4")
  /// The time is within the lifetime, and the lifetime not longer than allowed.
  public static let leafLifetime = Rule("7.3-5")
  /// The leaf's extensions are listed in its capabilities.
  public static let leafExtensionsListed = Rule("7.3-6")
  /// leaf_node_source fits the place of the leaf.
  public static let leafSource = Rule("7.3-7")
  /// An update has a new encryption key.
  public static let leafUpdateKeyIsNew = Rule("7.3-8")
  /// The signature key is unique in the group.
  public static let leafSignatureKeyUnique = Rule("7.3-9")
  /// The encryption key is unique in the group.
  public static let leafEncryptionKeyUnique = Rule("7.3-10")
  /// The capabilities contain the group's version and cipher suite, and the leaf's own credential type.
  public static let leafSelfConsistent = Rule("7.2-1")
  /// An extension type occurs at most once in a list.
  public static let extensionsUnique = Rule("13.4-1")
  /// Extensions in the group context are supported by all members.
  public static let groupExtensionsSupported = Rule("13.4-2")

  // MARK: 7.6 Update paths

  /// The path has one node for each of the filtered direct path.
  public static let pathLength = Rule("7.6-1")
  /// Each path node has one ciphertext for each node of the copath child's resolution.
  public static let pathCiphertexts = Rule("7.6-2")
  /// The derived public keys are the ones in the path.
  public static let pathKeysMatch = Rule("7.5-6")

  // MARK: 7.9 Parent hashes

  /// Each parent node chains to a leaf by parent hashes.
  public static let parentHashValid = Rule("7.9.2-1")
  /// The committer's leaf has the parent hash of its path.
  public static let pathParentHash = Rule("7.9.2-2")

  // MARK: 10.1 Key packages

  /// Version and suite are the group's.
  public static let keyPackageSuite = Rule("10.1-1")
  /// The leaf is of source key_package.
  public static let keyPackageLeaf = Rule("10.1-2")
  /// The key package's signature verifies.
  public static let keyPackageSignature = Rule("10.1-3")
  /// The init key is not the leaf's encryption key.
  public static let keyPackageKeysDiffer = Rule("10.1-4")

  // MARK: 11 Groups that follow others

  /// A group that follows another is joined by way of that group, and names it, with the usage that fits.
  public static let welcomeOrigin = Rule("11.2-1")
  /// A branch has a group id of its own.
  public static let branchGroupID = Rule("11.3-1")

  // MARK: 12.1 Proposals

  /// A Remove names a member.
  public static let removeNamesMember = Rule("12.1.3-1")
  /// Resumption keys of usage reinit and branch belong to those operations.
  public static let pskUsage = Rule("12.1.4-1")
  /// A pre-shared key's nonce has the length of the hash.
  public static let pskNonceLength = Rule("12.1.4-2")
  /// ReInit does not lower the version.
  public static let reInitVersion = Rule("12.1.5-1")
  /// New required capabilities are met by all members.
  public static let requiredCapabilitiesMet = Rule("12.1.7-1")

  // MARK: 12.2 Proposal lists

  /// No Update by the committer.
  public static let noOwnUpdate = Rule("12.2-2")
  /// No Remove of the committer.
  public static let noOwnRemove = Rule("12.2-3")
  /// At most one Update or Remove for each leaf.
  public static let oneChangePerLeaf = Rule("12.2-4")
  /// No two Adds of one client.
  public static let addsDiffer = Rule("12.2-5")
  /// No Add of a client that is a member and stays one.
  public static let addIsNew = Rule("12.2-6")
  /// No pre-shared key twice.
  public static let psksDiffer = Rule("12.2-7")
  /// At most one GroupContextExtensions.
  public static let oneGroupContextExtensions = Rule("12.2-8")
  /// ReInit stands alone.
  public static let reInitAlone = Rule("12.2-9")
  /// No ExternalInit in a member's commit.
  public static let noExternalInit = Rule("12.2-10")
  /// All members that will process the commit support the types of its proposals.
  public static let proposalSupported = Rule("12.2-12")
  /// Update comes from a member, for its own leaf.
  public static let updateFromMember = Rule("12.2-11")
  /// An external commit has exactly one ExternalInit.
  public static let externalOneInit = Rule("12.2-13")
  /// An external commit has at most one Remove.
  public static let externalOneRemove = Rule("12.2-14")
  /// An external commit has no proposals of other types.
  public static let externalOnlyAllowed = Rule("12.2-15")
  /// An external commit has no proposals by reference, SelfRemoves apart.
  public static let externalByValue = Rule("12.4.3.2-1")

  // MARK: E6.3 SelfRemove

  /// A SelfRemove is sent as a PublicMessage.
  public static let selfRemoveIsPublic = Rule("E6.3-1")
  /// A SelfRemove is in a commit by reference only.
  public static let selfRemoveByReference = Rule("E6.3-2")
  /// A SelfRemove comes from a member.
  public static let selfRemoveFromMember = Rule("E6.3-3")

  // MARK: E4 Application data

  /// A dictionary of application data is well-formed: sorted, no component twice.
  public static let dictionaryWellFormed = Rule("E4.6-1")
  /// An AppDataUpdate or AppEphemeral is for a component that the application knows.
  public static let appDataComponentKnown = Rule("E4.7-1")
  /// An AppDataUpdate removes only data that is there.
  public static let appDataRemovePresent = Rule("E4.7-2")
  /// A list has for one component either one removal or updates.
  public static let appDataOneOperation = Rule("E4.7-3")
  /// The component accepts the updates, and the group context has room for what they make.
  public static let appDataAccepted = Rule("E4.7-4")
  /// GroupContextExtensions leaves the dictionary as it is where all members must support AppDataUpdate.
  public static let dictionaryByUpdate = Rule("E4.7-5")
  /// The component accepts the data of an AppEphemeral.
  public static let appEphemeralAccepted = Rule("E4.8-1")

  // MARK: 12.4 Commits

  /// A path is there where the proposals require one.
  public static let pathRequired = Rule("12.4-1")
  /// The committer's new leaf has a new encryption key.
  public static let pathLeafKeyIsNew = Rule("12.4.2-1")
  /// No key of the path is in the tree.
  public static let pathKeysAreNew = Rule("12.4.2-2")
  /// The confirmation tag is right.
  public static let confirmationTag = Rule("12.4.2-3")

  // MARK: 12.4.3.1 Welcomes

  /// At most one resumption key of usage reinit or branch.
  public static let welcomeOneResumption = Rule("12.4.3.1-1")
  /// The signer of the group info is a member.
  public static let welcomeSigner = Rule("12.4.3.1-2")
  /// The group info's signature verifies.
  public static let welcomeSignature = Rule("12.4.3.1-3")
  /// The suites of welcome, key package and group info are one.
  public static let welcomeSuite = Rule("12.4.3.1-4")
  /// The tree's hash is the one in the group context.
  public static let welcomeTreeHash = Rule("12.4.3.1-5")
  /// Unmerged leaves are members below their node, and noted on the way down.
  public static let welcomeUnmerged = Rule("12.4.3.1-6")
  /// No encryption key twice in the tree.
  public static let welcomeKeysUnique = Rule("12.4.3.1-7")
  /// The own leaf is in the tree.
  public static let welcomeOwnLeaf = Rule("12.4.3.1-8")
  /// The private keys from the path secret fit the tree.
  public static let welcomePathKeys = Rule("12.4.3.1-9")
  /// The confirmation tag is right.
  public static let welcomeConfirmation = Rule("12.4.3.1-10")
  /// A reinit or branch begins at epoch 1.
  public static let welcomeResumptionEpoch = Rule("12.4.3.1-11")
  /// A successor's group id, version, suite and extensions are those of the ReInit that ended its group.
  public static let reInitParameters = Rule("12.4.3.1-12")
  /// All members of a group that ended are in its successor.
  public static let reInitMembers = Rule("12.4.3.1-13")
  /// A branch has the version and suite of its group.
  public static let branchParameters = Rule("12.4.3.1-14")
  /// All members of a branch are in its group.
  public static let branchMembers = Rule("12.4.3.1-15")
  /// The last node of a ratchet tree extension is not blank.
  public static let treeEndsNonBlank = Rule("12.4.3.3-1")
  /// Leaves and parents stand at their places.
  public static let treeNodeKinds = Rule("12.4.3.3-2")
}
