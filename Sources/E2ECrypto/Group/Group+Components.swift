public import CryptoPrimitives
import WireCodec

/// The keys of a group in the hands of the application's components, so that none can meddle with MLS or with another
/// (draft-ietf-mls-extensions section 4): each use is bound to the component's number and to a label of its own.
extension Group {
  /// The component's secret of this epoch, the same for all members. It is given once and then gone, so that what is
  /// derived from it can be gone too (section 4.4).
  ///
  /// Save ``encodeState()``'s message part before the secret is used.
  /// - Throws: ``MLSError/Code/keyConsumed`` the second time.
  public mutating func safeExport(for component: ComponentID) throws(MLSError) -> Secret {
    guard isActive else { throw MLSError(.inactive) }
    return try state.exporterTree.take(state.suite, component)
  }

  /// Signs something with our signature key on behalf of a component (section 4.3).
  public func safeSign(_ content: [UInt8], label: String, for component: ComponentID) throws(MLSError) -> [UInt8] {
    guard isActive else { throw MLSError(.inactive) }
    return try ComponentOperation(state.suite, component, label).sign(content, with: identity.signingKey)
  }

  /// Whether the member at a place has signed something on behalf of a component.
  public func isValidSafeSignature(
    _ signature: [UInt8], of content: [UInt8], label: String, for component: ComponentID, by leaf: LeafIndex
  ) -> Bool {
    guard let key = state.tree.leaf(leaf)?.signatureKey else { return false }
    return ComponentOperation(state.suite, component, label).isValid(signature, of: content, key: key)
  }

  /// Seals something for the member at a place and for a component of its (section 4.2). Only the member can open it, and
  /// only as long as it has the key that is in its leaf now.
  /// - Throws: ``MLSError/Code/unknownSender`` if nobody is there.
  public func safeSeal(
    _ plaintext: Secret, to leaf: LeafIndex, label: String, context: [UInt8] = [], for component: ComponentID
  ) throws(MLSError) -> [UInt8] {
    guard isActive else { throw MLSError(.inactive) }
    guard let key = state.tree.leaf(leaf)?.encryptionKey else { throw MLSError(.unknownSender) }
    return try ComponentOperation(state.suite, component, label).seal(plaintext, to: key, context: context).encoded
  }

  /// Opens what was sealed for us and for a component.
  /// - Throws: ``MLSError/Code/decryptionFailed`` if it was for another key, component, label or context.
  public func safeOpen(
    _ sealed: [UInt8], label: String, context: [UInt8] = [], for component: ComponentID
  ) throws(MLSError) -> Secret {
    guard isActive else { throw MLSError(.inactive) }
    return try ComponentOperation(state.suite, component, label).open(
      try HPKECiphertext(strictly: sealed), with: state.privateKeys.leafKey, context: context)
  }
}
