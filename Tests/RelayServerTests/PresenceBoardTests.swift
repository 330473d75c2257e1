import RelayProtocol
import Testing

@testable import RelayServer

struct PresenceBoardTests {
  let user = UserID(high: 1, low: 1)

  @Test func announcesComingAndGoingOnce() {
    var board = PresenceBoard()
    #expect(board.handle(.arrived(user), now: 1000) == [.renew([user], until: 61_000), .announce(user)])
    #expect(board.handle(.arrived(user), now: 1001) == [])
    #expect(board.handle(.left(user), now: 1002) == [])
    #expect(board.handle(.left(user), now: 1003) == [])
    // Back within the grace: was never away.
    #expect(board.handle(.arrived(user), now: 5000) == [])
    #expect(board.handle(.left(user), now: 5001) == [])
    #expect(board.handle(.tick, now: 15_000) == [])
    #expect(board.handle(.tick, now: 15_001) == [.end([user]), .announce(user)])
    #expect(board.handle(.left(user), now: 15_002) == [])
  }

  @Test func renewsWhatItHolds() {
    var board = PresenceBoard()
    _ = board.handle(.arrived(user), now: 1000)
    var renewals: [UInt64] = []
    for now in stride(from: UInt64(2000), through: 62_000, by: 1000) {
      for case .renew(let users, let until) in board.handle(.tick, now: now) {
        #expect(users == [user])
        renewals.append(until - now)
      }
    }
    // A lease outlives two lost heartbeats.
    #expect(renewals.count >= 3 && renewals.allSatisfy { $0 >= 2 * PresenceBoard.heartbeat })
  }

  @Test func throttlesFlickering() {
    var board = PresenceBoard()
    _ = board.handle(.arrived(user), now: 1000)
    var announced = 0
    for step in 0..<1000 as Range<UInt64> {
      let now = 1000 + step * 10
      for case .announce in board.handle(.changed(user), now: now) { announced += 1 }
      for case .announce in board.handle(.tick, now: now) { announced += 1 }
    }
    #expect((4...6).contains(announced), "\(announced)")
    // The last change is told even if nothing follows.
    _ = board.handle(.changed(user), now: 11_001)
    let later = (0..<5 as Range<UInt64>).flatMap { board.handle(.tick, now: 12_000 + $0 * 1000) }
    #expect(later.contains(.announce(user)))
  }

  @Test func leasesRunOutByThemselves() async {
    let leases = LocalPresence()
    await leases.renew([user], until: 100)
    #expect(await leases.connected(among: [user], now: 99) == [user])
    #expect(await leases.connected(among: [user], now: 100) == [])
    await leases.renew([user], until: 200)
    await leases.end([user])
    #expect(await leases.connected(among: [user], now: 101) == [])
  }
}
