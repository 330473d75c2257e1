import RelayProtocol
import Testing

@testable import ChatSDK

@Suite struct SyncMachineTests {
  private let room = RoomID(high: 1, low: 1)

  private func entry(_ sequence: UInt64) -> LogEntry {
    LogEntry(room: room, sequence: sequence, kind: .application, epoch: 1, time: 0, message: [])
  }

  private func at(_ sequence: UInt64, incarnation: UInt64 = 5) -> StreamPosition {
    StreamPosition(incarnation: incarnation, sequence: sequence)
  }

  /// From position 10: what comes, what is processed, and from where the log is asked.
  @Test(
    arguments: [
      ([11], [11], nil),
      ([11, 12, 13], [11, 12, 13], nil),
      ([9, 10], [], nil),
      ([9, 10, 11], [11], nil),
      ([11, 11, 12, 12], [11, 12], nil),
      ([12], [], 10),
      ([11, 13], [11], 11),
      ([13, 11, 12], [], 10),
      ([], [], nil),
      ([.max], [], 10),
    ] as [([UInt64], [UInt64], UInt64?)])
  func takesEachOnceInOrder(_ come: [UInt64], _ processed: [UInt64], _ pulledAfter: UInt64?) {
    var machine = SyncMachine(position: at(10))
    var expected: [SyncMachine.Action] = []
    if !processed.isEmpty { expected.append(.process(processed.map { entry($0) })) }
    if let pulledAfter { expected.append(.pull(after: at(pulledAfter))) }
    #expect(machine.received(come.map { entry($0) }) == expected)
    #expect(machine.position == at(10))
    for sequence in processed { machine.took(sequence) }
    #expect(machine.position == at(processed.last ?? 10))
  }

  @Test func pullsWhatItHeardOf() {
    var machine = SyncMachine(position: at(10))
    #expect(machine.heard(at(10)) == [] && machine.isCaughtUp)
    #expect(machine.heard(at(12)) == [.pull(after: at(10))] && !machine.isCaughtUp)
    // An older answer that came late takes nothing back.
    #expect(machine.heard(at(11)) == [.pull(after: at(10))])
    machine.took(11)
    machine.took(12)
    #expect(machine.isCaughtUp && machine.heard(at(12)) == [])
  }

  @Test func newIncarnationStartsFromTheBeginning() {
    var machine = SyncMachine(position: at(10))
    #expect(machine.heard(at(3, incarnation: 6)) == [.restart(at(0, incarnation: 6))])
    #expect(machine.received([entry(1), entry(2)]) == [.process([entry(1), entry(2)])])
  }

  @Test func placesAreTakenOneByOne() {
    var machine = SyncMachine(position: at(10))
    machine.took(12)
    machine.took(10)
    #expect(machine.position == at(10))
  }

  @Test func backoffGrowsWithJitterAndEnds() {
    var backoff = Backoff(first: .milliseconds(100), longest: .seconds(1))
    let pauses = (0..<6).map { _ in backoff.next(random: 1) }
    #expect(
      pauses == [
        .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800), .seconds(1), .seconds(1),
      ])
    backoff.reset()
    #expect(backoff.next(random: 0) == .milliseconds(50))
    #expect(backoff.next(random: 0, atLeast: .seconds(7)) == .seconds(7))
    for _ in 0..<100 { #expect(backoff.next(random: 1) <= .seconds(1)) }
  }
}
