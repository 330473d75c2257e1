import RelayProtocol
import Testing

@testable import RelayServer

struct PresenceBoardTests {
  typealias Work = PresenceBoard.Work

  let user = UserID(high: 1, low: 1)
  let other = UserID(high: 2, low: 2)

  /// A board in a place of its own, so that expectations can use it.
  private final class Desk {
    private var board: PresenceBoard

    init(lease: UInt64 = 60_000) { board = PresenceBoard(lease: lease) }

    var times: PresenceBoard.Times { board.times }
    var remote: [UserID] { board.remote }
    func handle(_ event: PresenceBoard.Event, now: UInt64) { board.handle(event, now: now) }
    func take(atMost count: Int = 200) -> Work { board.take(atMost: count) }
    func work(_ event: PresenceBoard.Event, now: UInt64) -> Work {
      handle(event, now: now)
      return take()
    }
    func isNews(_ news: PresenceNews) -> Bool { board.isNews(news) }
    func show(_ shown: [PresenceNews]) { board.show(shown) }
    func sweep(_ connected: Connected, now: UInt64) { board.sweep(board.remote, connected, now: now) }
    func note(_ connected: Connected, now: UInt64) { board.note(connected, now: now) }
    func isBlind(now: UInt64) -> Bool { board.isBlind(now: now) }
    func believes(_ connected: Connected, now: UInt64) -> Bool { board.believes(connected, now: now) }
  }

  private func news(_ user: UserID, _ status: PresenceStatus) -> PresenceNews {
    PresenceNews(user: user, status: status, lastSeen: 0)
  }

  @Test func announcesComingAndGoingOnce() {
    let desk = Desk()
    #expect(desk.work(.arrived(user), now: 1000) == Work(hold: [user], announce: [user]))
    #expect(desk.work(.arrived(user), now: 1001).isEmpty)
    #expect(desk.work(.left(user), now: 1002).isEmpty)
    #expect(desk.work(.left(user), now: 1003).isEmpty)
    // Back within the grace: was never away.
    #expect(desk.work(.arrived(user), now: 5000).isEmpty)
    #expect(desk.work(.left(user), now: 5001).isEmpty)
    #expect(desk.work(.tick, now: 15_000).isEmpty)
    #expect(desk.work(.tick, now: 15_001) == Work(release: [user], announce: [user]))
    #expect(desk.work(.left(user), now: 15_002).isEmpty)
  }

  /// Of a coming and a going that nobody took up meanwhile, the last counts.
  @Test func takesBackWhatWasNotDone() {
    let desk = Desk(lease: 12_000)
    desk.handle(.arrived(user), now: 1000)
    desk.handle(.left(user), now: 1000)
    desk.handle(.tick, now: 1000 + desk.times.grace)
    #expect(desk.take() == Work(release: [user], announce: [user]))
  }

  @Test func throttlesFlickering() {
    for isHere in [true, false] {
      let desk = Desk()
      if isHere { _ = desk.work(.arrived(user), now: 1000) }
      var announced = 0
      for step in 0..<1000 as Range<UInt64> {
        let now = 1000 + step * 10
        announced += desk.work(.changed(user), now: now).announce.count
        announced += desk.work(.tick, now: now).announce.count
      }
      #expect((4...6).contains(announced), "\(announced)")
      // The last change is told even if nothing follows.
      let at = desk.work(.changed(user), now: 11_001).announce
      let later = (0..<5 as Range<UInt64>).flatMap { desk.work(.tick, now: 12_000 + $0 * 1000).announce }
      #expect(at + later == [user])
    }
  }

  @Test func handsOutMuchInParts() {
    let desk = Desk()
    let users = (0..<500 as Range<UInt64>).map { UserID(high: 9, low: $0) }
    for user in users { desk.handle(.arrived(user), now: 1) }
    let first = desk.take()
    // Leases do not wait for what is told.
    #expect(Set(first.hold) == Set(users) && first.announce.count == 200)
    #expect(Set(first.announce + desk.take().announce + desk.take().announce) == Set(users))
    #expect(desk.take().isEmpty)
  }

  @Test func tellsItsOwnOnceAndEachChange() {
    let desk = Desk()
    #expect(desk.isNews(news(user, .online)))
    #expect(!desk.isNews(news(user, .online)))
    #expect(desk.isNews(news(user, .busy)))
    #expect(desk.isNews(news(user, .offline)))
    // Nobody knows what was shown of it before: once more does no harm.
    #expect(desk.isNews(news(user, .offline)))
    #expect(desk.isNews(news(user, .busy)))
    // Somebody was shown otherwise meanwhile.
    desk.show([news(user, .offline)])
    #expect(desk.isNews(news(user, .busy)))
    // What could not be told was not told.
    desk.handle(.failed(announce: [], look: [user]), now: 1)
    #expect(desk.isNews(news(user, .busy)))
    #expect(desk.work(.tick, now: 1000).look == [user])
  }

  /// Hearsay leads to looks, only where somebody could be told, and to one at a time of each person.
  @Test func takesRumoursForWhatTheyAre() {
    let desk = Desk()
    #expect(desk.work(.rumoured([.presence(other), .profile(other)]), now: 1).isEmpty)
    _ = desk.work(.arrived(user), now: 1)
    for _ in 0..<100 { desk.handle(.rumoured([.presence(other), .profile(other)]), now: 2) }
    #expect(desk.take() == Work(look: [other], rumouredProfiles: [other]))
    // Floods are bounded.
    for index in 0..<(PresenceBoard.capacity as Int) + 5000 {
      desk.handle(.rumoured([.presence(UserID(high: 3, low: UInt64(index)))]), now: 3)
    }
    var looks = 0
    while true {
      let count = desk.take().look.count
      guard count > 0 else { break }
      looks += count
    }
    #expect(looks == PresenceBoard.capacity)
  }

  @Test func noticesWhoseLeaseIsOver() {
    let desk = Desk(lease: 12_000)
    _ = desk.work(.arrived(user), now: 0)
    // Told of one, and shown another.
    _ = desk.isNews(news(other, .online))
    let third = UserID(high: 3, low: 3)
    desk.show([news(third, .away), news(user, .online)])
    #expect(desk.work(.tick, now: 2000).sweeps)
    #expect(Set(desk.remote) == [other, third])
    desk.sweep(Connected(users: []), now: 2000)
    // Redis may have been emptied a moment ago: who is missed once may be back.
    #expect(desk.take().isEmpty)
    #expect(!desk.work(.tick, now: 3000).sweeps)
    #expect(desk.work(.tick, now: 4000).sweeps)
    desk.sweep(Connected(users: [third]), now: 4000)
    #expect(desk.take().look == [other])
    #expect(desk.isNews(news(other, .offline)))
    #expect(desk.remote == [third])
    desk.sweep(Connected(users: []), now: 6000)
    #expect(desk.take().isEmpty)
    desk.sweep(Connected(users: []), now: 8000)
    #expect(desk.take().look == [third])
    // From the death of a node to the news: its lease, and two sweeps.
    #expect(desk.times.life + 2 * desk.times.sweep <= desk.times.lease)
  }

  /// The other nodes may be back at Redis later than this one.
  @Test func missesNobodyRightAfterRedisIsBack() {
    let desk = Desk(lease: 12_000)
    _ = desk.work(.arrived(user), now: 0)
    _ = desk.isNews(news(other, .online))
    desk.sweep(Connected(users: []), now: 1500)
    _ = desk.work(.missed, now: 1600)
    for now in [2000, 3000, 4000] as [UInt64] {
      #expect(!desk.believes(Connected(users: []), now: now))
      desk.sweep(Connected(users: []), now: now)
      #expect(desk.take().isEmpty)
    }
    #expect(desk.believes(Connected(users: []), now: 5000))
    desk.sweep(Connected(users: []), now: 5000)
    #expect(desk.take().isEmpty)
    desk.sweep(Connected(users: []), now: 6000)
    #expect(desk.take().look == [other])
  }

  /// Who is announced is looked for at once: Redis may have just lost the lease.
  @Test func seesToTheLeasesOfThoseItAnnounces() {
    let desk = Desk(lease: 12_000)
    _ = desk.work(.arrived(user), now: 0)
    #expect(desk.work(.changed(user), now: 20_000) == Work(hold: [user], announce: [user]))
    #expect(desk.work(.changed(other), now: 20_000) == Work(announce: [other]))
  }

  /// Nobody is gone because Redis is; unless it stays away for so long that no lease could have lasted.
  @Test func knowsWhatItCannotKnow() {
    let desk = Desk(lease: 12_000)
    _ = desk.work(.arrived(user), now: 0)
    _ = desk.isNews(news(other, .online))
    let blind = Connected(users: [], isWhole: false)
    for now in stride(from: UInt64(2000), to: 14_000, by: 2000) {
      desk.sweep(blind, now: now)
      #expect(desk.take().isEmpty && !desk.isBlind(now: now))
    }
    desk.sweep(blind, now: 14_000)
    #expect(desk.take().look == [other] && desk.isBlind(now: 14_000))
    desk.note(Connected(users: []), now: 15_000)
    #expect(!desk.isBlind(now: 90_000))
  }

  @Test func saysAllAgainInPartsAndOnceALease() {
    let desk = Desk(lease: 12_000)
    let users = (0..<3000 as Range<UInt64>).map { UserID(high: 9, low: $0) }
    for user in users { desk.handle(.arrived(user), now: 0) }
    while !desk.take().isEmpty {}
    var told: [UserID] = []
    func tick(_ now: UInt64) -> Int {
      desk.handle(.tick, now: now)
      var count = 0
      while true {
        let work = desk.take(atMost: 10_000)
        guard !work.isEmpty else { return count }
        told += work.announce
        count += work.announce.count
      }
    }
    _ = tick(20_000)
    // Whoever asks without end gets no more for it.
    for _ in 0..<100 { desk.handle(.retell, now: 20_500) }
    for now in stride(from: UInt64(21_000), to: 32_000, by: 500) {
      desk.handle(.retell, now: now)
      #expect(tick(now) <= 200)
    }
    #expect(told.count == users.count && Set(told) == Set(users))
    // What was asked for meanwhile is done when the time has come.
    told = []
    for now in stride(from: UInt64(33_000), to: 45_000, by: 500) { _ = tick(now) }
    #expect(told.count == users.count)
  }

  @Test func asksOthersIfSomebodyHereMayHaveMissedSomething() {
    let desk = Desk()
    #expect(desk.work(.missed, now: 1).isEmpty)
    _ = desk.work(.arrived(user), now: 1)
    #expect(desk.work(.missed, now: 1) == Work(asks: true))
    #expect(desk.take().isEmpty)
    // They may have asked meanwhile, and were not heard.
    #expect(desk.work(.tick, now: 2).announce == [user])
  }
}
