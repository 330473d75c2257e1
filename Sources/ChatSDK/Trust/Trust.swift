import CryptoPrimitives
import RelayProtocol
import WireCodec

/// Looks identities up at the relay, weighs them against the pins, and stores what it learns.
struct Trust: Sendable {
  let context: ClientContext

  func pin(of user: UserID) throws -> Pin? { try context.store.read { try $0.decode(Pin.self, user.bytes) } }

  /// A user by name, with its identity as the relay has it now.
  ///
  /// - Throws: `userNotFound`; `identityInvalid` if what the relay shows proves nothing or goes back.
  func fetch(username: String) async throws -> Pin {
    let name = username.lowercased()
    guard Limits.isUsername(name) else { throw ChatError(.userNotFound, detail: nil) }
    do {
      let response = try await context.api.user(name)
      guard response.username == name else { throw ChatError(.protocolViolation) }
      return try take(response, expecting: nil)
    } catch let error as ChatError where error == ChatError(.userNotFound) {
      throw ChatError(.userNotFound, detail: name, underlying: error.underlying)
    }
  }

  @discardableResult
  func fetch(user: UserID) async throws -> Pin {
    try take(try await context.api.user("\(user)"), expecting: user)
  }

  private func take(_ response: UserResponse, expecting user: UserID?) throws -> Pin {
    guard Limits.isUsername(response.username), user == nil || user == response.user else {
      throw ChatError(.protocolViolation)
    }
    let person = Person(id: response.user, username: response.username)
    guard let list = try? SignedDeviceList(decoding: response.deviceList.bytes), list.list.user == response.user else {
      try alarm(.deviceListForged, person, "a device list that is not the user's")
      throw ChatError(.identityInvalid, detail: person.username)
    }
    if let own = context.optionalIdentity, own.user == person.id {
      let newest = try takeOwn(list)
      if let body = response.profile {
        let record = ProfileRecord(user: own.user, profile: Profile(body), fetched: context.now)
        try context.store.write { try $0.save(record) }
        _ = context.profiles.take(record)
      }
      return Pin(username: own.username, list: newest)
    }
    var events: [Event] = []
    let pin = try context.store.write { store -> Pin? in
      let pinned = try store.decode(Pin.self, person.id.bytes)
      // A name that was another's: whoever types it must not reach somebody else unseen.
      let named = try store.record(.username, Array(person.username.utf8)).flatMap { UserID(bytes: $0) }
      if let named, named != person.id {
        events.append(.identityChanged(IdentityChange(person: person, wasVerified: false)))
        let finding = context.finding(.identityChanged, person: person, "the name belonged to another account")
        try store.add(finding)
      }
      let (outcome, changed) = Pin.weigh(list, username: person.username, expecting: user, pinned: pinned)
      if let changed { try store.save(changed) }
      switch outcome {
      case .first:
        try store.set(.username, Array(person.username.utf8), to: person.id.bytes)
      case .unchanged: break
      case .newer(let added):
        events += added.map { .newDevice(DeviceChange(person: person, device: $0.device, name: $0.name)) }
      case .identityChanged:
        if changed != nil {
          let change = IdentityChange(person: person, wasVerified: pinned?.isVerified ?? false)
          events.append(.identityChanged(change))
          try store.add(context.finding(.identityChanged, person: person, "another account key than the pinned one"))
        }
      case .rolledBack: return nil
      case .forged: return nil
      }
      return changed ?? pinned
    }
    if !events.isEmpty || pin?.list == list { context.listsChanged() }
    context.hub.tell(events)
    try context.take(response.profile, of: person)
    guard let pin else {
      try alarm(
        list.isValid ? .deviceListRolledBack : .deviceListForged, person,
        list.isValid ? "an older or another list of the same number" : "a device list that its account did not sign")
      throw ChatError(.identityInvalid, detail: person.username)
    }
    return pin
  }

  private func alarm(_ code: Finding.Code, _ person: Person, _ detail: String) throws {
    let finding = context.finding(code, person: person, detail)
    try context.store.write { try $0.add(finding) }
    context.hub.tell([.refused(finding)])
  }

  // MARK: What people decide

  func safetyNumber(with username: String) async throws -> SafetyNumber {
    let identity = try context.identity()
    let pin = try await fetch(username: username)
    let shown = pin.candidate?.list.accountKey ?? pin.accountKey
    return SafetyNumber(
      digits: SafetyDigits.number((identity.user, identity.accountKey.publicKey), (pin.user, shown)),
      person: pin.person, isVerified: pin.isVerified && pin.candidate == nil, hasChanged: pin.candidate != nil)
  }

  func markVerified(_ username: String) async throws {
    let user = try await fetch(username: username).user
    try change(user) { pin in
      guard pin.candidate == nil else { throw ChatError(.identityChanged, detail: pin.username) }
      pin.isVerified = true
    }
  }

  func acceptNewIdentity(of username: String) async throws {
    let user = try await fetch(username: username).user
    try change(user) { $0.acceptCandidate() }
  }

  private func change(_ user: UserID, _ body: (inout Pin) throws -> Void) throws {
    try context.store.write { store in
      guard var pin = try store.decode(Pin.self, user.bytes) else { throw ChatError(.internalError) }
      try body(&pin)
      try store.save(pin)
    }
    context.listsChanged()
  }
}
