import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// A delivery service that orders commits, loses the race for some, delays and shuffles everything else, while clients are
/// restarted: in the end all must agree, and have read each message once if its keys were still there.
@Suite struct RandomWalkTests {
  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var value = state
      value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
      value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
      return value ^ (value >> 31)
    }
  }

  private struct Message {
    let bytes: [UInt8]
    let text: String
    let sender: String
    let epoch: Epoch
  }

  private final class Participant {
    var client: Client
    let joined: Epoch
    var inbox: [Message] = []
    var read: [Message] = []
    var tooOld = 0

    init(_ client: Client) {
      self.client = client
      joined = client.group.epoch
    }
  }

  private struct World {
    var random: Seeded
    var participants: [Participant]
    /// The accepted commit of each epoch, from ``first`` on.
    var log: [[UInt8]] = []
    let first: Epoch
    var sent = 0
    var named = 0
    var races = 0

    var head: Epoch { Epoch(first.rawValue + UInt64(log.count)) }

    mutating func someone() -> Participant? { participants.randomElement(using: &random) }

    mutating func say(_ participant: Participant) throws {
      sent += 1
      let text = "message \(sent)"
      let epoch = participant.client.group.epoch
      let message = Message(
        bytes: try participant.client.say(text), text: text, sender: participant.client.name, epoch: epoch)
      for other in participants where other !== participant { other.inbox.append(message) }
    }

    /// Reads one message that has come, whichever.
    mutating func read(_ participant: Participant) throws {
      guard let place = participant.inbox.indices.randomElement(using: &random) else { return }
      let message = participant.inbox[place]
      let current = participant.client.group.epoch
      do {
        let text = try participant.client.hear(message.bytes)
        #expect(text == message.text && message.epoch >= participant.joined)
        #expect(!participant.read.contains { $0.text == text }, "read twice")
        participant.read.append(message)
        participant.inbox.remove(at: place)
      } catch let error as MLSError where error == MLSError(.futureEpoch) {
        #expect(message.epoch > current)
      } catch let error as MLSError where error == MLSError(.epochTooOld) {
        let window = UInt64(participant.client.group.policy.maxPastEpochs)
        #expect(message.epoch.rawValue + window < current.rawValue || message.epoch < participant.joined)
        participant.tooOld += 1
        participant.inbox.remove(at: place)
      }
    }

    /// Reads again what was read before: a replay.
    mutating func replay(_ participant: Participant) throws {
      guard let message = participant.read.randomElement(using: &random) else { return }
      do {
        _ = try participant.client.hear(message.bytes)
        Issue.record("a replay was read")
      } catch let error as MLSError {
        #expect(error == MLSError(.keyConsumed) || error == MLSError(.epochTooOld))
      }
    }

    /// Takes the next accepted commit.
    mutating func advance(_ participant: Participant) throws {
      let place = Int(participant.client.group.epoch.rawValue - first.rawValue)
      guard place < log.count else { return }
      try participant.client.follow(log[place])
      if !participant.client.isActive { participants.removeAll { $0 === participant } }
    }

    /// Commits something; the service accepts it if the committer is up to date.
    mutating func commit(_ participant: Participant) throws {
      var proposals: [Proposal] = []
      var invitee: Invitee?
      let members = participant.client.group.members
      switch Int.random(in: 0..<4, using: &random) {
      case 0 where members.count < 9:
        named += 1
        let new = try Invitee("joiner \(named)")
        proposals = [.add(new.keyPackage)]
        invitee = new
      case 1 where members.count > 3:
        let others = members.filter { $0.leafIndex != participant.client.group.ownLeafIndex }
        if let goner = others.randomElement(using: &random) { proposals = [.remove(goner.leafIndex)] }
      case 2:
        let data = [UInt8.random(in: 0...255, using: &random)]
        proposals = [.groupContextExtensions([Extension(type: 0xff01, data: data)])]
      default: break
      }
      let pending = try participant.client.commit(proposals)
      guard participant.client.group.epoch == head else {
        races += 1
        return
      }
      log.append(pending.message)
      let welcome = pending.welcome
      let stored = pending.encodeState()
      if Bool.random(using: &random) { participant.client = try participant.client.restored() }
      try participant.client.group.merge(PendingCommit(restoring: stored))
      if let invitee, let welcome { participants.append(Participant(try invitee.join(welcome))) }
    }

    mutating func step() throws {
      guard let participant = someone() else { return }
      switch Int.random(in: 0..<40, using: &random) {
      case 0..<7: try say(participant)
      case 7..<28: try read(participant)
      case 28..<35: try advance(participant)
      case 35: try replay(participant)
      case 36: participant.client = try participant.client.restored()
      default: try commit(participant)
      }
    }

    mutating func settle() throws {
      for participant in participants {
        while participant.client.isActive, participant.client.group.epoch < head { try advance(participant) }
      }
      for participant in participants { while !participant.inbox.isEmpty { try read(participant) } }
    }
  }

  @Test(arguments: 0..<6)
  func allAgreeInTheEnd(_ run: Int) throws {
    let seed = Random.uint64()
    print("seed of walk \(run): \(seed)")
    let members = try Members(4)
    var world = World(
      random: Seeded(state: seed), participants: members.all.map(Participant.init), first: members[0].group.epoch)
    for _ in 0..<800 { try world.step() }
    try world.settle()
    try Members(world.participants.map(\.client)).expectAgreement()
    let read = world.participants.reduce(0) { $0 + $1.read.count }
    print(
      "walk \(run): \(world.log.count) commits, \(world.races) lost races, \(world.sent) messages, \(read) reads, "
        + "\(world.participants.reduce(0) { $0 + $1.tooOld }) too old, \(world.participants.count) members")
    #expect(world.log.count > 5 && read > 20)
  }
}
