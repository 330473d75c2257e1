import CryptoPrimitives

/// The rules for leaves and key packages, with what they depend on.
///
/// Received leaves are not held against the clock: a member that has been away for a year must come to the same verdict on
/// an old commit as those who were there, or the group would split. The length of a lifetime, which does not depend on
/// when one looks, is checked always; the clock itself before a key package is used to add somebody.
struct LeafValidation {
  /// Where a leaf stands.
  enum Place {
    /// In a key package; the clock is given by whoever is about to use it.
    case keyPackage(now: Timestamp?)
    case update(of: LeafNode, at: LeafPlace)
    case commit(at: LeafPlace)
    /// In the tree of a group that we join.
    case tree(at: LeafPlace)
  }

  let suite: Suite
  /// The group's extensions, with which the leaf must be compatible; empty outside of a group.
  let groupExtensions: [Extension]
  let maxLifetime: UInt64

  /// Checks all that concerns the leaf alone (RFC 9420 section 7.3). Uniqueness is the tree's to check.
  func validate(_ leaf: LeafNode, as place: Place) throws(MLSError) {
    try validateUnsigned(leaf, as: place)
    _ = try Unverified(leaf).verified(suite, at: place.signedPlace)
  }

  /// Checks all of a leaf but its signature: what is to be known before one signs it.
  func validateUnsigned(_ leaf: LeafNode, as place: Place) throws(MLSError) {
    try Rule.leafKeysWellFormed.require(
      suite.kem.isValidPublicKey(leaf.encryptionKey) && leaf.signatureKey.count == suite.signature.publicKeySize)
    try validateSource(leaf, as: place)
    try validateTypes(leaf)
    if case .keyPackage(let lifetime) = leaf.source { try validate(lifetime, as: place) }
  }

  private func validateSource(_ leaf: LeafNode, as place: Place) throws(MLSError) {
    switch (place, leaf.source) {
    case (.keyPackage, .keyPackage), (.commit, .commit), (.tree, _): break
    case (.update(let old, _), .update):
      try Rule.leafUpdateKeyIsNew.require(old.encryptionKey != leaf.encryptionKey)
    default: throw MLSError.rejected(.leafSource)
    }
  }

  private func validateTypes(_ leaf: LeafNode) throws(MLSError) {
    let capabilities = leaf.capabilities
    try Rule.leafSelfConsistent.require(
      capabilities.versions.contains(ProtocolVersion.mls10) && capabilities.cipherSuites.contains(suite.number)
        && capabilities.credentials.contains(leaf.credential.type))
    try Rule.extensionsUnique.require(!leaf.extensions.hasRepeatedTypes)
    try Rule.leafExtensionsListed.require(leaf.extensions.allSatisfy { capabilities.supportsExtension($0.type) })
    if let required = try groupExtensions.requiredCapabilities() {
      try Rule.leafRequiredCapabilities.require(capabilities.supports(required))
    }
    try Rule.groupExtensionsSupported.require(groupExtensions.allSatisfy { capabilities.supportsExtension($0.type) })
    // Only where every member knows what it should be, so that all come to the same verdict.
    if groupExtensions[type: Extension.appDataDictionaryType] != nil {
      try Rule.dictionaryWellFormed.require(leaf.extensions.hasWellFormedAppData)
    }
  }

  private func validate(_ lifetime: Lifetime, as place: Place) throws(MLSError) {
    let (begin, end) = (lifetime.notBefore.secondsSinceEpoch, lifetime.notAfter.secondsSinceEpoch)
    try Rule.leafLifetime.require(begin <= end && end - begin <= maxLifetime)
    if case .keyPackage(let now?) = place { try Rule.leafLifetime.require(lifetime.contains(now)) }
  }

  /// Checks a key package and its leaf (RFC 9420 section 10.1).
  func validate(_ keyPackage: KeyPackage, now: Timestamp?) throws(MLSError) {
    try Rule.keyPackageSuite.require(
      keyPackage.version == ProtocolVersion.mls10 && keyPackage.cipherSuite == suite.number)
    try Rule.leafKeysWellFormed.require(suite.kem.isValidPublicKey(keyPackage.initKey))
    try Rule.keyPackageKeysDiffer.require(keyPackage.initKey != keyPackage.leafNode.encryptionKey)
    try Rule.extensionsUnique.require(!keyPackage.extensions.hasRepeatedTypes)
    guard case .keyPackage = keyPackage.leafNode.source else { throw MLSError.rejected(.keyPackageLeaf) }
    try validate(keyPackage.leafNode, as: .keyPackage(now: now))
    _ = try Unverified(keyPackage).verified(suite)
  }
}

extension LeafValidation.Place {
  var signedPlace: LeafPlace? {
    switch self {
    case .keyPackage: nil
    case .update(_, let place), .commit(let place), .tree(let place): place
    }
  }
}

extension KeyPackage {
  /// Checks the package as a group would that adds it: signatures, lifetime, keys and lists (RFC 9420 section 10.1).
  /// - Throws: an error with the rule that is broken: do not use or hand out the package.
  public func validate(now: Timestamp, policy: GroupPolicy = GroupPolicy()) throws(MLSError) {
    let suite = try CipherSuite.algorithms(of: cipherSuite)
    try LeafValidation(suite: suite, groupExtensions: [], maxLifetime: policy.maxLifetime).validate(self, now: now)
  }
}

extension RatchetTree {
  /// Checks a tree from elsewhere against the group context (RFC 9420 section 12.4.3.1).
  mutating func validate(_ context: GroupContext, maxLifetime: UInt64, threads: Int = 1) throws(MLSError) {
    try Rule.welcomeTreeHash.require(try rootHash() == context.treeHash)
    try validateUnmergedLeaves()
    try verifyParentHashes()
    let leaves = LeafValidation(suite: suite, groupExtensions: context.extensions, maxLifetime: maxLifetime)
    let members = memberIndices.compactMap { index in leaf(index).map { (index, $0) } }
    try Parallel.forEach(members.count, workers: threads) { (place) throws(MLSError) in
      let (index, leaf) = members[place]
      try leaves.validate(leaf, as: .tree(at: LeafPlace(groupID: context.groupID, index: index)))
    }
    try Rule.leafCredentialSupport.require(index.credentialsAreSupported)
    for case .some(let parent) in parents {
      try Rule.leafKeysWellFormed.require(suite.kem.isValidPublicKey(parent.encryptionKey))
    }
  }

  private func validateUnmergedLeaves() throws(MLSError) {
    for place in parents.indices {
      guard let parent = parents[place] else { continue }
      let node = NodeIndex(UInt32(place) * 2 + 1)
      let unmerged = parent.unmergedLeaves
      try Rule.unmergedSorted.require(zip(unmerged, unmerged.dropFirst()).allSatisfy { $0 < $1 })
      for entry in unmerged {
        try Rule.welcomeUnmerged.require(node.contains(entry) && leaf(entry) != nil)
        for between in shape.directPath(of: entry).prefix(while: { $0 != node }) {
          // Lists are sorted, or will be refused as unsorted when their turn comes.
          guard let below = self.parent(between) else { continue }
          try Rule.welcomeUnmerged.require(below.unmergedLeaves.containsSorted(entry))
        }
      }
    }
  }
}

extension [LeafIndex] {
  /// Whether a sorted list has an entry.
  func containsSorted(_ leaf: LeafIndex) -> Bool {
    var range = startIndex..<endIndex
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if self[middle] == leaf { return true }
      range = self[middle] < leaf ? middle + 1..<range.upperBound : range.lowerBound..<middle
    }
    return false
  }
}
