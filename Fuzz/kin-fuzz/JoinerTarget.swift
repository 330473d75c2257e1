import CryptoPrimitives
import WireCodec

@testable import E2ECrypto

extension Target {
  /// What a dishonest member can put before others: welcomes, group infos, trees, proposals and commits, changed in structure
  /// and signed and sealed again with the secrets that it knows, so that what is checked behind the cryptography is reached.
  static let joiner = Target(
    name: "joiner",
    run: { input in
      do {
        let stage = try Stage()
        var choices = Choices(input)
        let kind = choices.byte()
        var forger = Forger(choices: choices, suite: stage.suite, groupID: stage.liar.group.groupID)
        switch kind % 4 {
        case 0: try stage.offerWelcome(&forger)
        case 1: try stage.offerGroupInfo(&forger)
        case 2: try stage.offerCommit(&forger)
        default: try stage.offerProposals(&forger)
        }
      } catch {
        found("the forgery breaks off: \(error)")
      }
    },
    seeds: {
      (0..<24).map { number in
        FixedRandom.restart(UInt64(number) + 9)
        // Some that change nothing, so that joining itself is reached.
        let rest = number < 8 ? [UInt8](repeating: UInt8(number & 4), count: 8) : Random.bytes(40)
        return Seed(name: "\(number)", bytes: [UInt8(number)] + rest)
      }
    })
}

extension Stage {
  /// Joins by a welcome that is right but for what the bytes change.
  func offerWelcome(_ forger: inout Forger) throws {
    var tree = liar.group.state.tree
    let place = try tree.add(victim.bundle.keyPackage.leafNode)
    var pathSecret: Secret?
    if forger.choices.flip() {
      let secrets = try PathSecrets.generate(suite, tree: tree, leaf: LeafIndex(0))
      let old = tree.leaf(LeafIndex(0))
      _ = try tree.apply(secrets, leaf: LeafIndex(0)) { (hash) throws(MLSError) in
        guard var leaf = old, let key = Stage.key(of: leaf) else { throw MLSError(.fault) }
        leaf.encryptionKey = secrets.leafKey.publicKey
        leaf.source = .commit(parentHash: hash)
        try leaf.sign(suite, key: key, at: LeafPlace(groupID: forger.groupID, index: LeafIndex(0)))
        return leaf
      }
      pathSecret = secrets.secret(for: place)
      if forger.choices.byte() % 4 == 0 { pathSecret = Secret(copying: forger.spoiled(Random.bytes(32))) }
    }
    let (info, treeBytes) = try forgeInfo(tree, epoch: liar.group.epoch.rawValue + 1, &forger)

    let joiner = Secret.random(count: suite.hashSize)
    var psks: [PreSharedKeyID] = []
    if forger.choices.byte() % 8 == 0, case .preSharedKey(let id) = try forger.proposal(for: liar) { psks = [id] }
    let pskSecret = try PSKSecret.combine(suite, psks.map { ($0, Secret(copying: [1, 2, 3])) })
    var final = info
    let secrets = try KeySchedule.epochSecrets(
      suite, joinerSecret: joiner, pskSecret: pskSecret, context: info.context.encoded)
    if forger.choices.byte() % 8 != 0 {
      final = GroupInfo(
        context: info.context, extensions: info.extensions,
        confirmationTag: suite.mac(secrets.confirmation, info.context.confirmedTranscriptHash), signer: info.signer)
      try final.sign(suite, key: signer(of: final, treeBytes))
    }
    let welcomeSecret = try KeySchedule.welcomeSecret(suite, joinerSecret: joiner, pskSecret: pskSecret)
    let (key, nonce) = try KeySchedule.welcomeKey(suite, welcomeSecret: welcomeSecret)
    let sealed = try suite.aead.seal(key: key, nonce: nonce, plaintext: final.encoded)
    let sealedSecrets = GroupSecrets(joinerSecret: joiner, pathSecret: pathSecret, psks: psks).encode()
    let entry = Welcome.EncryptedGroupSecrets(
      newMember: suite.keyPackageRef(victim.bundle.keyPackage),
      encryptedGroupSecrets: try suite.seal(
        sealedSecrets, to: victim.bundle.keyPackage.initKey, "Welcome", context: sealed))
    let welcome = MLSMessage.welcome(
      Welcome(cipherSuite: 3, secrets: [entry], encryptedGroupInfo: sealed)
    ).encoded

    _ = try? Group.origin(ofWelcome: welcome, keyPackage: victim.bundle)
    for given in [nil, treeBytes] {
      do {
        let join = try Group.join(
          welcome: welcome, keyPackage: victim.bundle, identity: victim.identity, ratchetTree: given,
          psks: [ExternalPSK(id: [1], secret: Secret(copying: [1, 2, 3]))])
        let box = Fixture.Box(join.adopt())
        require(box.group.epochAuthenticator == secrets.authenticator, "the joiner is in another epoch")
        try use(box, victim.identity)
      } catch let error as MLSError { require(error.family != .fault, "a welcome shows a fault of ours: \(error)") }
    }
  }

  /// Joins from outside by a group info that is right but for what the bytes change.
  func offerGroupInfo(_ forger: inout Forger) throws {
    let (info, treeBytes) = try forgeInfo(liar.group.state.tree, epoch: liar.group.epoch.rawValue, &forger)
    let bytes = MLSMessage.groupInfo(info).encoded
    for given in [nil, treeBytes] {
      do {
        let group = try PublicGroup(groupInfo: bytes, ratchetTree: given)
        require(!group.members.isEmpty, "a group of nobody")
        _ = try? group.externalSenders()
      } catch { require(error.family != .fault, "a group info shows a fault of ours: \(error)") }
      for removing in [nil, LeafIndex(UInt32(forger.choices.byte() % 8))] {
        do {
          let join = try Group.joinExternally(
            groupInfo: bytes, identity: victim.identity, capabilities: Capabilities(extensions: [knownExtension]),
            ratchetTree: given, removing: removing)
          let message = join.message
          let box = Fixture.Box(join.adopt())
          try use(box, victim.identity)
          // The others have their own view of the group, and of a lie nothing comes.
          agree(on: message, mayDiffer: false)
        } catch let error as MLSError {
          require(error.family != .fault, "a group info shows a fault of ours: \(error)")
        }
      }
    }
  }

  /// A commit of anything, with a path that is right but for what the bytes change.
  func offerCommit(_ forger: inout Forger) throws {
    var proposals: [Proposal] = []
    for _ in 0..<(forger.choices.byte() % 4) { proposals.append(try forger.proposal(for: liar)) }
    let sent = proposals.map { SentProposal(proposal: $0, sender: .member(LeafIndex(0)), reference: nil) }
    let state = liar.group.state
    let list = try? ProposalList(sent, committer: .member(LeafIndex(0)), tree: state.tree, policy: GroupPolicy())
    let applied = try? list?.apply(to: state.tree, context: state.context, now: nil)
    var step = EpochStep(
      suite: suite, old: state.context, interimTranscriptHash: state.interimTranscriptHash,
      tree: applied?.tree ?? state.tree, extensions: applied?.extensions ?? state.context.extensions)
    var path: UpdatePath?
    var commitSecret = suite.zeroSecret
    var privateKeys = state.privateKeys
    var isSealedWell = true
    if forger.choices.byte() % 4 != 0 {
      let secrets = try PathSecrets.generate(suite, tree: step.tree, leaf: LeafIndex(0))
      commitSecret = secrets.commitSecret
      privateKeys = TreePrivate(leaf: LeafIndex(0), leafKey: secrets.leafKey)
      guard let old = step.tree.leaf(LeafIndex(0)) else { return }
      let node = try? step.tree.apply(secrets, leaf: LeafIndex(0)) { (hash) throws(MLSError) in
        var leaf = old
        leaf.encryptionKey = secrets.leafKey.publicKey
        leaf.source = .commit(parentHash: hash)
        forger.sign(&leaf, at: LeafIndex(0))
        return leaf
      }
      guard let node else { return }
      let context = try step.provisionalContext().encoded
      var update = try step.tree.seal(secrets, leafNode: node, context: context, added: applied?.addedNodes ?? [])
      isSealedWell = !forger.spoil(&update)
      path = update
    }
    let commit = Content.commit(Commit(proposals: proposals.map { .proposal($0) }, path: path))
    var signed = try liar.group.sign(commit, authenticatedData: [])
    signed.auth.confirmationTag = Random.bytes(32)
    if let list, forger.choices.byte() % 8 != 0, let psk = try? liar.group.pskStore.combine(suite, list.psks) {
      let (next, _) = try step.finish(
        signed, privateKeys: privateKeys, initSecret: state.secrets.initSecret, commitSecret: commitSecret,
        pskSecret: psk)
      signed.auth.confirmationTag = next.confirmationTag
    }
    let message = try liar.group.seal(signed, paddedTo: 0)
    // What is sealed to one member only that one can see (RFC 9420 section 12.4.2 leaves it so).
    agree(on: message, mayDiffer: !isSealedWell)
  }

  /// Proposals of any kind, which must keep nobody from committing nor divide those who do.
  func offerProposals(_ forger: inout Forger) throws {
    for _ in 0..<(1 + forger.choices.byte() % 6) {
      let proposal = try forger.proposal(for: liar)
      let signed = try liar.group.sign(.proposal(proposal), authenticatedData: [])
      let message = try liar.group.seal(signed, paddedTo: 0)
      var verdicts: [Bool] = []
      for box in honest {
        do {
          _ = try box.group.receive(message)
          verdicts.append(true)
        } catch {
          require(error.family != .fault, "a proposal shows a fault of ours: \(error)")
          verdicts.append(false)
        }
      }
      require(Set(verdicts).count == 1, "verdicts on a proposal differ: \(proposal)")
    }
    let committer = boxes[1 + Int(forger.choices.byte()) % (boxes.count - 1)]
    do {
      let pending = try committer.group.commit([], now: today)
      let message = pending.message
      try committer.group.merge(pending)
      for box in honest where box !== committer {
        try box.follow(message)
        guard box.group.isActive else { continue }
        require(box.group.epochAuthenticator == committer.group.epochAuthenticator, "members come to different epochs")
      }
    } catch let error as MLSError {
      // A key of an epoch that some were not yet in, as anyone may propose: they have to come back from outside.
      require(error == MLSError(.unknownPSK), "a dishonest proposal keeps others from going on: \(error)")
    }
  }

  // MARK: Parts

  private func signer(of info: GroupInfo, _ tree: [UInt8]) throws -> SigningKey {
    if let nodes = try? RatchetTree.Nodes(decoding: tree), info.signer.position < nodes.leaves.count,
      let leaf = nodes.leaves[info.signer.position], let key = Stage.key(of: leaf)
    {
      return key
    }
    return fixedIdentity("member 0").signingKey
  }

  private func forgeInfo(
    _ tree: RatchetTree, epoch: UInt64, _ forger: inout Forger
  ) throws -> (info: GroupInfo, tree: [UInt8]) {
    var nodes = try RatchetTree.Nodes(decoding: tree.encoded)
    forger.spoil(&nodes)
    var bytes = nodes.encoded
    if forger.choices.byte() % 16 == 0 { bytes = forger.spoiled(bytes) }
    var context = liar.group.state.context
    context.epoch = Epoch(forger.choices.byte() % 32 == 0 ? .max : epoch)
    if var changed = try? RatchetTree(decoding: bytes, suite: suite), let hash = try? changed.rootHash() {
      context.treeHash = hash
    }
    switch forger.choices.byte() % 16 {
    case 0: context.treeHash = forger.spoiled(context.treeHash)
    case 1: context.extensions = forger.extensions()
    case 2: context.cipherSuite = UInt16(forger.choices.byte())
    case 3: context.groupID = GroupID(forger.spoiled(context.groupID.bytes))
    case 4: context.confirmedTranscriptHash = forger.spoiled(context.confirmedTranscriptHash)
    default: break
    }
    var extensions: [Extension] = []
    if forger.choices.byte() % 4 != 0 { extensions.append(Extension(type: Extension.ratchetTreeType, data: bytes)) }
    var external = try liar.group.state.secrets.externalKeyPair(suite).publicKey
    if forger.choices.byte() % 8 == 0 { external = forger.spoiled(external) }
    extensions.append(Extension(type: Extension.externalPubType, data: ExternalPub(key: external).encoded))
    if forger.choices.byte() % 8 == 0 { extensions += forger.extensions() }
    var info = GroupInfo(
      context: context, extensions: extensions, confirmationTag: liar.group.state.confirmationTag,
      signer: LeafIndex(forger.choices.byte() % 8 == 0 ? UInt32(forger.choices.byte()) : 0))
    try info.sign(suite, key: signer(of: info, bytes))
    return (info, bytes)
  }

  /// What was joined can be used and saved, whoever made it.
  private func use(_ box: Fixture.Box, _ identity: ClientIdentity) throws {
    require(box.group.state.privateKeys.isConsistent(with: box.group.state.tree), "the joiner holds wrong keys")
    let state = box.group.encodeState()
    do {
      let again = try Group(restoring: state, identity: identity)
      let second = again.encodeState()
      require(second.epochPart == state.epochPart && second.messagePart == state.messagePart, "a saved group changes")
    } catch { found("what was joined cannot be restored: \(error)") }
    _ = try? box.group.protect([1])
    do {
      var options = CommitOptions()
      options.forcesPath = true
      let pending = try box.group.commit([], options: options, now: today)
      try box.group.merge(pending)
    } catch { require(error.family != .fault, "what was joined shows a fault of ours: \(error)") }
  }

  /// All honest members take a message or all refuse it, and those who took it agree.
  private func agree(on message: [UInt8], mayDiffer: Bool) {
    var took: [Fixture.Box] = []
    var refused: [MLSError] = []
    for box in honest {
      do {
        guard case .commit(let commit) = try box.group.receive(message) else {
          found("a commit was read as something else")
        }
        let removes = commit.effects.removesSelf
        try box.group.merge(commit)
        if !removes { took.append(box) }
      } catch {
        require(error.family != .fault, "a commit shows a fault of ours: \(error)")
        refused.append(error)
      }
    }
    guard let first = took.first else { return }
    // A key of an epoch that some were not yet in says nothing against the commit: they have to come back from outside.
    refused.removeAll { $0 == MLSError(.unknownPSK) }
    require(mayDiffer || refused.isEmpty, "some take a commit that others refuse: \(refused)")
    for box in took.dropFirst() {
      require(box.group.epochAuthenticator == first.group.epochAuthenticator, "members come to different epochs")
      require(box.group.members == first.group.members, "members see different members")
    }
  }
}

extension Forger {
  /// Whether anything was changed.
  mutating func spoil(_ update: inout UpdatePath) -> Bool {
    var (leaf, nodes) = (update.leafNode, update.nodes)
    switch choices.byte() % 10 {
    case 0: spoil(&leaf, at: LeafIndex(0))
    case 1: if !nodes.isEmpty { nodes.removeLast() }
    case 2: if let node = nodes.first { nodes.append(node) }
    case 3: nodes.reverse()
    case 4:
      guard let place = choices.pick(Array(nodes.indices)) else { return false }
      nodes[place] = UpdatePath.Node(
        encryptionKey: spoiled(nodes[place].encryptionKey), encryptedPathSecrets: nodes[place].encryptedPathSecrets)
    case 5, 6:
      guard let place = choices.pick(Array(nodes.indices)) else { return false }
      var sealed = nodes[place].encryptedPathSecrets
      guard let which = choices.pick(Array(sealed.indices)) else { return false }
      if choices.flip() {
        sealed.remove(at: which)
      } else {
        sealed[which] = HPKECiphertext(
          kemOutput: choices.flip() ? spoiled(sealed[which].kemOutput) : sealed[which].kemOutput,
          ciphertext: spoiled(sealed[which].ciphertext))
      }
      nodes[place] = UpdatePath.Node(encryptionKey: nodes[place].encryptionKey, encryptedPathSecrets: sealed)
    default: return false
    }
    update = UpdatePath(leafNode: leaf, nodes: nodes)
    return true
  }
}
