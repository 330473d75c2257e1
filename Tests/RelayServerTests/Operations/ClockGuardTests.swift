import RelayProtocol
import Synchronization
import Testing

@testable import RelayServer

struct ClockGuardTests {
  @Test func believesAClockThatGoesAsTimeDoes() {
    var guardian = ClockGuard()
    var (wall, steady): (UInt64, UInt64) = (1_700_000_000_000, 5)
    for step in [1000, 60_000, 90_000_000] as [UInt64] {
      #expect(guardian.look(wall: wall, steady: steady) == .sound)
      (wall, steady) = (wall + step, steady + step)
    }
    // Corrections to either side, and a clock that is set back.
    #expect(guardian.look(wall: wall + 3_000_000, steady: steady) == .sound)
    #expect(guardian.look(wall: wall, steady: steady + 1) == .sound)
    #expect(guardian.look(wall: wall - 90_000_000, steady: steady + 2) == .sound)
  }

  @Test func holdsAfterAJumpUntilItIsUndoneOrADayIsOver() {
    let wall: UInt64 = 1_700_000_000_000
    let year: UInt64 = 31_536_000_000
    var guardian = ClockGuard()
    #expect(guardian.look(wall: wall, steady: 0) == .sound)
    #expect(guardian.look(wall: wall + year, steady: 1000) == .jumped)
    #expect(guardian.look(wall: wall + year + 1000, steady: 2000) == .held)
    #expect(guardian.look(wall: wall + 3000, steady: 3000) == .sound, "it was set right")
    #expect(guardian.look(wall: wall + year, steady: 4000) == .jumped)
    let day = ClockGuard.hold
    #expect(guardian.look(wall: wall + year + day - 1, steady: 4000 + day - 1) == .held)
    #expect(guardian.look(wall: wall + year + day, steady: 4000 + day) == .sound, "somebody wants it so")
  }

  /// On a live relay: a clock that is a year ahead for a while costs no message.
  @Test func aClockThatJumpsErasesNothing() async throws {
    let ahead = Mutex<UInt64>(0)
    let clock: @Sendable () -> UInt64 = { Relay.wallClock() + ahead.withLock { $0 } }
    try await RelayFixture.run(
      {
        ($0.retention, $0.retentionInterval) = (.milliseconds(300), .milliseconds(20))
        $0.accessTokenLifetime = .seconds(86_400)
      }, clock: clock
    ) { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      // Time for a first look.
      try await Task.sleep(for: .milliseconds(100))
      ahead.withLock { $0 = 7_200_000 }
      try await alice.send("kept", to: room)
      let late = ContinuousClock.now + .milliseconds(700)
      while ContinuousClock.now < late { try await Task.sleep(for: .milliseconds(100)) }
      #expect(try await alice.log(of: room).entries.map(\.kind) == [.application])
      // Set right, erasing goes on.
      ahead.withLock { $0 = 0 }
      let other = try await alice.createRoom()
      try await alice.send("old soon", to: other)
      #expect(try await eventually { try await alice.log(of: other).entries.map(\.kind) == [.erased] })
    }
  }
}
