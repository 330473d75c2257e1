import CryptoPrimitives

@testable import E2ECrypto

extension GroupWorld {
  // MARK: Proposals

  func propose(_ step: Step, by peer: Peer, _ choices: inout Choices) throws {
    guard let box = peer.box else { return }
    do {
      let message =
        switch step {
        case .proposeUpdate: try box.group.proposeUpdate(identity: choices.flip() ? renewed(peer) : nil)
        case .proposeSelfRemove: try box.group.proposeSelfRemove()
        default: try box.group.propose(try proposal(step, for: box, &choices), now: today)
        }
      posted.append(Posted(message, epoch: peer.epoch, sender: peer.name))
    } catch let error as MLSError {
      require(error.family != .fault, "\(error)")
      require(!peer.isActive || step != .proposeUpdate, "\(peer.name) cannot propose an update: \(error)")
    }
  }

  /// The same person with another key.
  func renewed(_ peer: Peer) -> ClientIdentity {
    named += 1
    return ClientIdentity(
      credential: .basic(identity: Array(peer.name.utf8)), signingKey: fixedIdentity("key \(named)").signingKey)
  }

  func proposal(_ step: Step, for box: Fixture.Box, _ choices: inout Choices) throws -> Proposal {
    switch step {
    case .proposeAdd: return .add(try invite().bundle.keyPackage)
    case .proposeRemove: return .remove(LeafIndex(UInt32(choices.byte() % 8)))
    case .proposePSK: return .externalPSK(id: psk.id, suite: suite)
    case .proposeResumption:
      let back = UInt64(choices.byte() % 4)
      let epoch = box.group.epoch.rawValue
      return .resumptionPSK(
        groupID: box.group.groupID, epoch: Epoch(epoch > back ? epoch - back : 0), suite: suite)
    case .proposeReInit:
      return .reInit(
        ReInit(
          groupID: GroupID(Array("successor".utf8) + [choices.byte()]), cipherSuite: suite.rawValue,
          extensions: choices.flip() ? [] : [Extension(type: knownExtension, data: [1])]))
    case .proposeAppData:
      return .appDataUpdate(
        AppDataUpdate(
          component: ComponentID(0x8000 | UInt16(choices.byte() & 3)),
          operation: choices.flip() ? .remove : .update([choices.byte()])))
    case .proposeEphemeral: return .appEphemeral(AppEphemeral(component: .firstPrivate, data: [choices.byte()]))
    case .proposeCustom: return .custom(type: knownProposal, data: [choices.byte()])
    default:
      let kept = choices.flip() ? box.group.extensions.filter { $0.type != knownExtension } : []
      return .groupContextExtensions(kept + [Extension(type: knownExtension, data: [choices.byte()])])
    }
  }

  /// The gatekeeper, or one who only claims to be.
  func proposeFromOutside(_ choices: inout Choices) throws {
    guard let box = upToDate.first?.box else { return }
    let key = choices.flip() ? gatekeeper.signingKey : fixedIdentity("impostor").signingKey
    let proposer = ExternalProposer(
      groupID: box.group.groupID, epoch: head, suite: suite, index: UInt32(choices.byte() % 2), signingKey: key)
    let step: Step = choices.pick([.proposeAdd, .proposeRemove, .proposePSK, .proposeExtensions]) ?? .proposeAdd
    let message = try proposer.propose(try proposal(step, for: box, &choices))
    posted.append(Posted(message, epoch: head, sender: nil))
  }

  func proposeJoining() throws {
    guard let box = upToDate.first?.box else { return }
    let outsider = try invite()
    let message = try outsider.bundle.proposeJoining(
      groupID: box.group.groupID, epoch: head, identity: outsider.identity)
    posted.append(Posted(message, epoch: head, sender: nil))
  }

  /// Takes in a proposal of the peer's own epoch.
  func hear(_ post: Posted, by peer: Peer) {
    guard let box = peer.box, post.epoch == peer.epoch else { return }
    do {
      guard case .proposal = try box.group.receive(post.bytes) else { found("a proposal was read as something else") }
      require(post.sender != peer.name, "\(peer.name) takes its own proposal")
      if let verdict = post.verdict { require(verdict == nil, "a proposal refused by others is accepted") }
      post.verdict = .some(nil)
    } catch {
      switch error {
      case MLSError(.ownMessage): require(post.sender == peer.name, "another's proposal taken for an own one")
      case MLSError(.inactive): require(!peer.isActive, "not inactive")
      // Heard before.
      case MLSError(.keyConsumed): require(post.sender != nil, "a public proposal has no key")
      default:
        require(error.family != .fault, "\(error)")
        require(post.sender == nil, "\(peer.name) refuses \(post.sender ?? "")'s proposal: \(error)")
        if let verdict = post.verdict { require(verdict == error.code, "verdicts on a proposal differ: \(error)") }
        post.verdict = .some(error.code)
      }
    }
  }

  // MARK: Commits

  func commit(by peer: Peer, _ choices: inout Choices) throws {
    guard let box = peer.box else { return }
    var options = CommitOptions()
    let kind = choices.byte()
    options.forcesPath = kind & 8 != 0
    options.welcomeIncludesTree = true
    options.makesGroupInfo = kind & 16 != 0
    var own: [Proposal] = []
    if kind & 64 != 0 { options.identity = renewed(peer) }
    let steps: [Step] = [
      .proposeAdd, .proposeRemove, .proposePSK, choices.pick([.proposeResumption, .proposeAppData]) ?? .proposeCustom,
      choices.pick([.proposeExtensions, .proposeCustom, .proposeEphemeral]) ?? .proposeCustom,
    ]
    if kind & 7 < 5 { own.append(try proposal(steps[Int(kind & 7)], for: box, &choices)) }
    if kind & 7 == 5 {
      own = [.add(try invite().bundle.keyPackage), .add(try invite().bundle.keyPackage), .remove(LeafIndex(1))]
    }
    if kind == 0xff { own = [try proposal(.proposeReInit, for: box, &choices)] }
    if peers.count > 6 { own.removeAll { if case .add = $0 { true } else { false } } }
    do {
      let pending = try box.group.commit(own, includingReceived: kind & 32 == 0, options: options, now: today)
      peer.pending = pending.encodeState()
    } catch {
      require(error.family != .fault, "\(error)")
      require(!peer.isActive || !own.isEmpty, "\(peer.name) cannot commit: \(error)")
    }
  }

  /// Offers a commit to the delivery service, which takes it if it is for the head.
  func submit(by peer: Peer) throws {
    guard let box = peer.box, let saved = peer.pending else { return }
    peer.pending = nil
    let pending = try PendingCommit(restoring: saved)
    guard pending.baseEpoch == head, !isEnded else {
      // A rival won, and our own commit has no place any more.
      guard pending.baseEpoch != peer.epoch else { return }
      do {
        try box.group.merge(pending)
        found("\(peer.name) merged a commit of another epoch")
      } catch { require(error == MLSError(.epochMoved) || error == MLSError(.inactive), "\(error)") }
      return
    }
    let (message, welcome, effects) = (pending.message, pending.welcome, pending.effects)
    try box.group.merge(pending)
    try accept(message, effects.preSharedKeys.isEmpty, effects.reInit != nil, box)
    agree(peer, with: log[log.count - 1].truth)
    try welcomeIn(effects.added, welcome, truth: log[log.count - 1].truth)
  }

  private func accept(_ message: [UInt8], _ isWithoutPSK: Bool, _ ends: Bool, _ box: Fixture.Box) throws {
    log.append(
      Accepted(epoch: head, message: message, usesPSK: !isWithoutPSK, ends: ends, truth: try Truth(box)))
  }

  func welcomeIn(_ added: [Member], _ welcome: [UInt8]?, truth: Truth) throws {
    for member in added {
      guard let outsider = invited[member.signatureKey] else { found("somebody was added whom nobody invited") }
      guard let welcome else { found("an add without a welcome") }
      do {
        let join = try Group.join(
          welcome: welcome, keyPackage: outsider.bundle, identity: outsider.identity, psks: [psk], policy: policy)
        require(join.effects.members == truth.members, "the welcome tells of other members")
        let peer = Peer(outsider.name, outsider.identity, Fixture.Box(join.adopt()))
        agree(peer, with: truth)
        peers.append(peer)
      } catch {
        // Of an epoch before its time it can know nothing.
        require(error == MLSError(.unknownPSK) && log.last?.usesPSK == true, "\(outsider.name) cannot join: \(error)")
        let peer = Peer(outsider.name, outsider.identity, Fixture.Box(try stranger(outsider)))
        peer.forget()
        peers.append(peer)
      }
    }
  }

  /// A group of its own for one who could not join: it is never used.
  private func stranger(_ outsider: Outsider) throws -> Group {
    try Group.create(groupID: GroupID([0]), suite: suite, identity: outsider.identity, lifetime: lifetime)
  }

  /// Takes the next accepted commit. Whether there was one.
  @discardableResult
  func follow(_ peer: Peer) throws -> Bool {
    guard let box = peer.box, peer.isActive, !peer.isStuck, peer.epoch < head else { return false }
    let entry = log[Int(peer.epoch.rawValue - first.rawValue)]
    var result = attempt(entry, by: box)
    if result == MLSError(.unknownProposal) {
      for post in posts(at: peer.epoch) { hear(post, by: peer) }
      result = attempt(entry, by: box)
    }
    switch result {
    case nil: break
    case MLSError(.unknownPSK) where entry.usesPSK:
      peer.isStuck = true
      return false
    case let error?: found("\(peer.name) cannot follow the commit of epoch \(entry.epoch): \(error)")
    }
    if box.group.isActive || entry.ends {
      agree(peer, with: entry.truth)
    } else {
      let key = peer.identity.signingKey.publicKey
      require(!entry.truth.members.contains { $0.signatureKey == key }, "\(peer.name) takes itself for removed")
      peers.removeAll { $0 === peer }
    }
    return true
  }

  private func attempt(_ entry: Accepted, by box: Fixture.Box) -> MLSError? {
    do {
      guard case .commit(let commit) = try box.group.receive(entry.message) else { found("no commit") }
      try box.group.merge(commit)
      return nil
    } catch { return error }
  }

  // MARK: Coming and going

  func save(_ peer: Peer) throws {
    guard let box = peer.box else { return }
    let state = box.group.encodeState()
    let again = try Group(restoring: state, identity: peer.identity, policy: policy)
    let second = again.encodeState()
    require(second.epochPart == state.epochPart && second.messagePart == state.messagePart, "a saved group changes")
    peer.box = Fixture.Box(again)
  }

  /// Comes back by an external commit in place of the own old leaf, if that is still there.
  func rejoin(_ peer: Peer) throws {
    guard !isEnded, let sponsor = upToDate.first(where: { $0 !== peer })?.box else { return }
    // It may have changed its key and lost that.
    let old = sponsor.group.members.first { $0.credential.identity == Array(peer.name.utf8) }
    let join = try Group.joinExternally(
      groupInfo: try sponsor.group.groupInfo(), identity: peer.identity,
      capabilities: knownCapabilities, removing: old?.leafIndex, policy: policy)
    let message = join.message
    let box = Fixture.Box(join.adopt())
    box.group.setPreSharedKey(psk)
    try accept(message, true, false, box)
    peer.box = box
    peer.pending = nil
    peer.isStuck = false
    peer.joined = box.group.epoch
    agree(peer, with: log[log.count - 1].truth)
  }

  func joinOutside() throws {
    guard peers.count < 6, !isEnded, !upToDate.isEmpty else { return }
    let outsider = try invite()
    let peer = Peer(outsider.name, outsider.identity, Fixture.Box(try stranger(outsider)))
    peer.forget()
    peers.append(peer)
    try rejoin(peer)
  }

  /// A group of some of the members beside this one: all come into it, and it is let go.
  func branch(from peer: Peer, _ choices: inout Choices) throws {
    guard let box = peer.box, peer.isActive else { return }
    let others = try upToDate.filter { $0 !== peer && $0.epoch == peer.epoch && choices.flip() }
      .map { (peer: $0, outsider: try Outsider($0.name, suite: suite)) }
    var member = MemberOptions(lifetime: lifetime)
    member.capabilities = knownCapabilities
    let pending = try box.group.makeBranch(
      groupID: GroupID([9]), with: others.map(\.outsider.bundle.keyPackage), as: member, now: today)
    let (welcome, authenticator) = (pending.welcome, pending.epochAuthenticator)
    for other in others {
      guard let welcome, let theirs = other.peer.box else { found("a branch without a welcome") }
      let joined = try theirs.group.joinBranch(
        welcome: welcome, keyPackage: other.outsider.bundle, identity: other.outsider.identity
      ).adopt()
      require(joined.epochAuthenticator == authenticator, "\(other.peer.name) is in another branch")
    }
  }

  /// Goes on in the group that follows this one, once a ReInit has ended it.
  func succeed(by peer: Peer) throws {
    guard isEnded else { return }
    for peer in peers { while try follow(peer) {} }
    peers.removeAll { $0.isStuck || $0.epoch != head }
    guard let box = peer.box, peers.contains(where: { $0 === peer }) else { return }
    // All must come along; one who was lost cannot, and then the group ends here.
    guard peers.count == box.group.memberCount else { return }
    let others = try peers.filter { $0 !== peer }.map { (peer: $0, outsider: try Outsider($0.name, suite: suite)) }
    var member = MemberOptions(lifetime: lifetime)
    member.capabilities = knownCapabilities
    let pending = try box.group.makeSuccessor(
      with: others.map(\.outsider.bundle.keyPackage), as: member, now: today)
    let welcome = pending.welcome
    let next = Fixture.Box(pending.adopt())
    let truth = try Truth(next)
    for other in others {
      guard let welcome, let theirs = other.peer.box else { found("a successor without a welcome") }
      let joined = try theirs.group.joinSuccessor(
        welcome: welcome, keyPackage: other.outsider.bundle, identity: other.outsider.identity)
      start(other.peer, Fixture.Box(joined.adopt()), truth)
    }
    start(peer, next, truth)
    (log, posted, letters, first) = ([], [], [], next.group.epoch)
  }

  private func start(_ peer: Peer, _ box: Fixture.Box, _ truth: Truth) {
    box.group.setPreSharedKey(psk)
    peer.box = box
    peer.pending = nil
    peer.joined = box.group.epoch
    (peer.inbox, peer.hasRead) = ([], [])
    agree(peer, with: truth)
  }
}
