/// What validation asks of the whole tree, kept up to date leaf by leaf so that no commit has to walk it: the keys in
/// use, and how many members use or support each type.
struct TreeIndex: Sendable {
  private(set) var memberCount = 0
  private var encryptionKeys = KeySet()
  private var signatureKeys = KeySet()
  private var credentialsInUse: [UInt16: Int] = [:]
  private var supportedCredentials: [UInt16: Int] = [:]
  private var supportedExtensions: [UInt16: Int] = [:]
  private var supportedProposals: [UInt16: Int] = [:]

  func containsEncryptionKey(_ key: [UInt8]) -> Bool { encryptionKeys.contains(key) }
  func containsSignatureKey(_ key: [UInt8]) -> Bool { signatureKeys.contains(key) }

  /// Enters a key of an inner node; false if it is in the tree already.
  mutating func insert(key: [UInt8]) -> Bool { encryptionKeys.insert(key) }
  mutating func remove(key: [UInt8]) { encryptionKeys.remove(key) }

  /// Enters a leaf, whose keys must not be in the tree already.
  mutating func insert(_ leaf: LeafNode) throws(MLSError) {
    try Rule.leafSignatureKeyUnique.require(signatureKeys.insert(leaf.signatureKey))
    guard encryptionKeys.insert(leaf.encryptionKey) else {
      // A refusal changes nothing.
      signatureKeys.remove(leaf.signatureKey)
      throw MLSError.rejected(.leafEncryptionKeyUnique)
    }
    memberCount += 1
    count(leaf, by: 1)
  }

  mutating func remove(_ leaf: LeafNode) {
    signatureKeys.remove(leaf.signatureKey)
    encryptionKeys.remove(leaf.encryptionKey)
    memberCount -= 1
    count(leaf, by: -1)
  }

  private mutating func count(_ leaf: LeafNode, by step: Int) {
    credentialsInUse[leaf.credential.type, default: 0] += step
    // A type listed twice must not count twice.
    for type in Set(leaf.capabilities.credentials) { supportedCredentials[type, default: 0] += step }
    for type in Set(leaf.capabilities.extensions) { supportedExtensions[type, default: 0] += step }
    for type in Set(leaf.capabilities.proposals) { supportedProposals[type, default: 0] += step }
  }

  /// Whether every member supports every credential type that is in use.
  var credentialsAreSupported: Bool {
    credentialsInUse.allSatisfy { type, users in users == 0 || allSupportCredential(type) }
  }

  func allSupportCredential(_ type: UInt16) -> Bool { supportedCredentials[type, default: 0] == memberCount }

  func allSupportExtension(_ type: UInt16) -> Bool {
    Extension.isDefault(type) || supportedExtensions[type, default: 0] == memberCount
  }

  func allSupportProposal(_ type: UInt16) -> Bool {
    Proposal.isDefault(type) || supportedProposals[type, default: 0] == memberCount
  }

  func membersWithoutProposal(_ type: UInt16) -> Int {
    Proposal.isDefault(type) ? 0 : memberCount - supportedProposals[type, default: 0]
  }

  func allSupport(_ required: RequiredCapabilities) -> Bool {
    required.extensions.allSatisfy(allSupportExtension) && required.proposals.allSatisfy(allSupportProposal)
      && required.credentials.allSatisfy(allSupportCredential)
  }
}
