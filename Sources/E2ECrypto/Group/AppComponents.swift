import WireCodec

/// What a part of the application makes of the data that members send it by proposals (draft-ietf-mls-extensions sections
/// 4.7 and 4.8).
///
/// Part of the ``GroupPolicy``, and alike for all members: where one refuses what another accepts, the group splits. So the
/// verdict must follow from the arguments alone.
public protocol ApplicationComponent: Sendable {
  /// The component's new data in the group context; nil if the updates are invalid, by which the commit is.
  /// - Parameter current: the data now; nil if there is none.
  /// - Parameter updates: what one commit brings, in its order.
  func updated(_ current: [UInt8]?, by updates: [[UInt8]]) -> [UInt8]?
  /// Whether data may be attached to a commit.
  func accepts(ephemeral data: [UInt8]) -> Bool
}

extension ApplicationComponent {
  public func accepts(ephemeral data: [UInt8]) -> Bool { true }
}

/// A component whose updates are its data: the last one holds.
public struct ReplacingComponent: ApplicationComponent {
  public init() {}
  public func updated(_ current: [UInt8]?, by updates: [[UInt8]]) -> [UInt8]? { updates.last }
}

/// The changes that a list of proposals makes to the dictionary in the group context, collected by component.
struct AppDataChanges: Sendable {
  private enum Change: Sendable {
    case updates([[UInt8]])
    case remove
  }

  private var changes: [ComponentID: Change] = [:]

  var isEmpty: Bool { changes.isEmpty }

  /// Takes in a proposal. One removal stands alone, updates come in any number.
  mutating func append(_ update: AppDataUpdate) throws(MLSError) {
    switch (changes[update.component], update.operation) {
    case (nil, .remove): changes[update.component] = .remove
    case (nil, .update(let data)): changes[update.component] = .updates([data])
    case (.updates(let before), .update(let data)): changes[update.component] = .updates(before + [data])
    case (.updates, .remove), (.remove, _): throw MLSError.rejected(.appDataOneOperation)
    }
  }

  /// The extensions of the group context after the changes.
  func applied(to extensions: [Extension], policy: GroupPolicy) throws(MLSError) -> [Extension] {
    guard !isEmpty else { return extensions }
    var dictionary = try extensions.appData() ?? AppDataDictionary()
    for (component, change) in changes {
      switch change {
      case .remove:
        try Rule.appDataRemovePresent.require(dictionary[component] != nil)
        dictionary[component] = nil
      case .updates(let updates):
        // That it is known was seen when the proposal was.
        let new = policy.components[component]?.updated(dictionary[component], by: updates)
        guard let new else { throw MLSError.rejected(.appDataAccepted) }
        dictionary[component] = new
      }
    }
    let data = dictionary.encoded
    var extensions = extensions
    let changed = Extension(type: Extension.appDataDictionaryType, data: data)
    if let place = extensions.firstIndex(where: { $0.type == changed.type }) {
      extensions[place] = changed
    } else {
      extensions.append(changed)
    }
    // What does not fit could not be read by those who join.
    try Rule.appDataAccepted.require(extensions.reduce(16) { $0 + $1.data.count + 8 } <= Bounds.extensions)
    return extensions
  }
}

extension GroupPolicy {
  /// Checks that the component of a proposal is one that this client knows, and takes what is for it.
  func validate(_ proposal: Proposal) throws(MLSError) {
    switch proposal {
    case .appDataUpdate(let update):
      try Rule.appDataComponentKnown.require(components[update.component] != nil)
    case .appEphemeral(let ephemeral):
      guard let component = components[ephemeral.component] else {
        throw MLSError.rejected(.appDataComponentKnown)
      }
      try Rule.appEphemeralAccepted.require(component.accepts(ephemeral: ephemeral.data))
    default: break
    }
  }
}

extension [Extension] {
  /// Checks extensions that are to be the group context's in place of `old`: those that can be told to be wrong from
  /// themselves.
  func validateForContext(replacing old: [Extension]) throws(MLSError) {
    try Rule.extensionsUnique.require(!hasRepeatedTypes)
    try Rule.dictionaryWellFormed.require(hasWellFormedAppData)
    // Where all members are bound to support updates, the dictionary is changed by them alone.
    if try old.requiredCapabilities()?.proposals.contains(Proposal.appDataUpdateType) == true {
      let type = Extension.appDataDictionaryType
      try Rule.dictionaryByUpdate.require(self[type: type] == old[type: type])
    }
  }

  /// Whether there is no dictionary, or one that can be read.
  var hasWellFormedAppData: Bool {
    do { _ = try appData() } catch { return false }
    return true
  }

  /// The dictionary in the list, if there is one. It is checked for what can be in a group context; in other places,
  /// where members that do not know the extension may have to judge it, only where the group's context has one too.
  /// - Throws: ``MLSError/Code/malformed`` if it is none, or not sorted.
  public func appData() throws(MLSError) -> AppDataDictionary? {
    guard let found = self[type: Extension.appDataDictionaryType] else { return nil }
    return try AppDataDictionary(strictly: found.data)
  }
}

extension [Extension] {
  /// The extensions of a key package that may be used more than once: the mark that is in use, and the one that later
  /// versions of the draft have, where the client knows the dictionary.
  func markedAsLastResort(_ capabilities: Capabilities) throws(MLSError) -> [Extension] {
    guard capabilities.supportsExtension(Extension.appDataDictionaryType) else { return self + [.lastResort] }
    var dictionary = try appData() ?? AppDataDictionary()
    dictionary[.lastResortKeyPackage] = []
    return filter { $0.type != Extension.appDataDictionaryType } + [.lastResort, .appData(dictionary)]
  }
}

extension Extension {
  /// What components have to say in a group context, leaf, key package or group info.
  public static func appData(_ dictionary: AppDataDictionary) -> Extension {
    Extension(type: appDataDictionaryType, data: dictionary.encoded)
  }
}

extension AppDataDictionary {
  /// In a leaf the components that the client supports, in the group context those that every member must.
  public var appComponents: [ComponentID]? {
    get { self[.appComponents].flatMap { try? ComponentsList(decoding: $0) }?.components }
    set { self[.appComponents] = newValue.map { ComponentsList($0).encoded } }
  }
}
