import Testing

@testable import RelayServer

struct LoadGateTests {
  typealias Reading = LoadGate.Reading

  private static let limits = LoadGate.Limits(
    backlog: 0.5, storeNanoseconds: 1000, freeMemory: 100, freeDisk: 1000)
  private static let well = Reading(backlog: 0, storeNanoseconds: 1, freeMemory: 1000, freeDisk: 10_000)

  private static var cases: [(Strain, WritableKeyPath<Reading, UInt64?>, UInt64, UInt64)] {
    [(.memory, \.freeMemory, 99, 110), (.disk, \.freeDisk, 999, 1100)]
  }

  @Test func closesAtOnceWhenTheQueueFills() {
    var gate = LoadGate(Self.limits)
    #expect(gate.refusal(backlog: 0.49) == nil)
    // Even before any reading saw it.
    #expect(gate.refusal(backlog: 0.5) == .queue)
    var full = Self.well
    full.backlog = 0.6
    gate.take(full)
    #expect(gate.strains == [.queue] && gate.refusal(backlog: 0) == .queue)
    // Between its two bounds it stays as it is.
    full.backlog = 0.3
    for _ in 0..<20 { gate.take(full) }
    #expect(gate.strains == [.queue])
    for round in 1...LoadGate.calm {
      #expect(gate.refusal(backlog: 0) == .queue, "\(round)")
      gate.take(Self.well)
    }
    #expect(gate.refusal(backlog: 0) == nil)
  }

  @Test func closesWhenTheStoreStaysSlow() {
    var gate = LoadGate(Self.limits)
    var slow = Self.well
    slow.storeNanoseconds = 1000
    // One long sync to disk is no strain, however often it comes alone.
    for _ in 0..<10 {
      gate.take(slow)
      gate.take(slow)
      gate.take(Self.well)
    }
    #expect(gate.strains.isEmpty)
    for _ in 0..<LoadGate.strained { gate.take(slow) }
    #expect(gate.refusal(backlog: 0) == .latency)
    slow.storeNanoseconds = .max
    gate.take(slow)
    for _ in 0..<LoadGate.calm { gate.take(Self.well) }
    #expect(gate.refusal(backlog: 0) == nil)
  }

  @Test func closesWhenMemoryOrDiskRunLow() {
    for (strain, place, low, between) in Self.cases {
      var gate = LoadGate(Self.limits)
      var reading = Self.well
      reading[keyPath: place] = low
      for _ in 0..<LoadGate.strained { gate.take(reading) }
      #expect(gate.refusal(backlog: 0) == strain)
      reading[keyPath: place] = between
      for _ in 0..<20 { gate.take(reading) }
      #expect(gate.refusal(backlog: 0) == strain, "it would close again at once")
      for _ in 0..<LoadGate.calm { gate.take(Self.well) }
      #expect(gate.refusal(backlog: 0) == nil)
      // Where the system does not say there is nothing to see, and 0 turns the bound off.
      reading[keyPath: place] = nil
      for _ in 0..<20 { gate.take(reading) }
      #expect(gate.strains.isEmpty)
      var off = LoadGate(LoadGate.Limits(backlog: 0.5, storeNanoseconds: 1000, freeMemory: 0, freeDisk: 0))
      reading[keyPath: place] = 0
      for _ in 0..<20 { off.take(reading) }
      #expect(off.strains.isEmpty)
    }
  }

  @Test func readsTheMachine() throws {
    #expect(try #require(Machine.freeMemory) > 1 << 20)
    #expect(try #require(Machine.freeDisk(at: "/tmp")) > 0)
    #expect(Machine.freeDisk(at: "/no/such/folder") == nil)
  }
}
