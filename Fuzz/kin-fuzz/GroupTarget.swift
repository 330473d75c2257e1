import CryptoPrimitives

@testable import E2ECrypto

extension Target {
  /// A live group: the bytes say who does what, what is lost, repeated, reordered or damaged. Members that accepted the same
  /// commits agree on everything, whoever was lost comes back, and each message is read once, by whom it was meant for.
  static let group = Target(
    name: "group",
    run: { input in
      FixedRandom.restart()
      var choices = Choices(input)
      do {
        let world = try GroupWorld(setting: choices.byte())
        // Long inputs say little that short ones do not, and take their time.
        for _ in 0..<100 {
          guard let step = choices.next() else { break }
          try world.take(GroupWorld.Step.allCases[Int(step) % GroupWorld.Step.allCases.count], &choices)
        }
        try world.settle()
      } catch {
        found("the story breaks off: \(error)")
      }
    },
    seeds: {
      // Stories of all steps in any order, and for each step one in which it comes often.
      let steps = GroupWorld.Step.allCases
      return steps.indices.map { often in
        var bytes: [UInt8] = [UInt8(often)]
        FixedRandom.restart(UInt64(often) + 77)
        for turn in 0..<24 {
          let step = turn.isMultiple(of: 3) ? often : Int(Random.uint32()) % steps.count
          bytes += [UInt8(step)] + Random.bytes(3)
        }
        return Seed(name: "\(steps[often])", bytes: bytes)
      }
    })
}

/// The bytes of an input as decisions. At their end all are zero.
struct Choices {
  private var bytes: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  mutating func next() -> UInt8? { bytes.popFirst() }
  mutating func byte() -> UInt8 { next() ?? 0 }
  mutating func flip() -> Bool { byte() & 1 == 1 }

  mutating func pick<Element>(_ elements: [Element]) -> Element? {
    elements.isEmpty ? nil : elements[Int(byte()) % elements.count]
  }
}

extension GroupWorld {
  enum Step: CaseIterable {
    case say, read, readAnother, replay, lose, damage, own, stale, future
    case proposeAdd, proposeUpdate, proposeRemove, proposePSK, proposeResumption, proposeExtensions, proposeReInit
    case proposeFromOutside, proposeJoining, hear, hearAgain
    case commit, submit, commitAndSubmit, discard, follow, followAll, save, forget, rejoin, joinOutside, branch, succeed
    case tryTheImpossible, proposeSelfRemove, proposeAppData, proposeEphemeral, proposeCustom
  }

  func take(_ step: Step, _ choices: inout Choices) throws {
    guard let peer = choices.pick(peers) else { return }
    switch step {
    case .say: say(peer, padded: choices.flip())
    case .read: if let letter = peer.inbox.first { read(letter, by: peer) }
    case .readAnother: if let letter = choices.pick(peer.inbox) { read(letter, by: peer) }
    case .replay: if let letter = choices.pick(peer.hasRead) { read(letter, by: peer) }
    case .lose: if !peer.inbox.isEmpty { peer.inbox.removeFirst() }
    case .damage: damage(for: peer, &choices)
    case .own: if let letter = choices.pick(letters.filter { $0.sender == peer.name }) { read(letter, by: peer) }
    case .stale:
      if let entry = choices.pick(log.filter { $0.epoch < peer.epoch }) {
        refuse(entry.message, by: peer, "an old commit")
      }
    case .future:
      if let entry = choices.pick(log.filter { $0.epoch > peer.epoch }) {
        refuse(entry.message, by: peer, "a commit to come")
      }
    case .proposeAdd, .proposeUpdate, .proposeRemove, .proposePSK, .proposeResumption, .proposeExtensions,
      .proposeReInit,
      .proposeSelfRemove, .proposeAppData, .proposeEphemeral, .proposeCustom:
      try propose(step, by: peer, &choices)
    case .proposeFromOutside: try proposeFromOutside(&choices)
    case .proposeJoining: try proposeJoining()
    case .hear: if let posted = choices.pick(posts(at: peer.epoch)) { hear(posted, by: peer) }
    case .hearAgain: for posted in posts(at: peer.epoch) { hear(posted, by: peer) }
    case .commit: try commit(by: peer, &choices)
    case .submit: try submit(by: peer)
    case .commitAndSubmit:
      for posted in posts(at: peer.epoch) where choices.flip() { hear(posted, by: peer) }
      try commit(by: peer, &choices)
      try submit(by: peer)
    case .discard: peer.pending = nil
    case .follow: try follow(peer)
    case .followAll: for peer in peers { while try follow(peer) {} }
    case .save: try save(peer)
    case .forget: if peers.filter({ $0.box != nil && !$0.isStuck }).count > 1 { peer.forget() }
    case .rejoin: try rejoin(peer)
    case .joinOutside: try joinOutside()
    case .branch: try branch(from: peer, &choices)
    case .succeed: try succeed(by: peer)
    case .tryTheImpossible: tryTheImpossible(with: peer)
    }
  }
}
