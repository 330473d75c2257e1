import RelayProtocol
import Synchronization

/// Where long polls wait to be woken.
///
/// A poll registers first and looks at the store afterwards, so nothing that happens in between is missed.
final class PollBoard: BusListener, Lookouts {
  /// One waiting poll.
  final class Ticket: Sendable {
    fileprivate enum State {
      case idle
      case waiting(CheckedContinuation<Void, Never>)
      case rung
    }

    fileprivate let id: UInt64
    fileprivate let rooms: [RoomID]
    fileprivate let device: DeviceID
    fileprivate let session: UInt64
    private let state = Mutex(State.idle)

    fileprivate init(id: UInt64, rooms: [RoomID], device: DeviceID, session: UInt64) {
      (self.id, self.rooms, self.device, self.session) = (id, rooms, device, session)
    }

    /// Returns as soon as it was rung since the last wait.
    func wait() async {
      await withCheckedContinuation { continuation in
        let isRung = state.withLock { state in
          if case .rung = state {
            state = .idle
            return true
          }
          state = .waiting(continuation)
          return false
        }
        if isRung { continuation.resume() }
      }
    }

    func ring() {
      let continuation: CheckedContinuation<Void, Never>? = state.withLock { state in
        guard case .waiting(let continuation) = state else {
          state = .rung
          return nil
        }
        state = .idle
        return continuation
      }
      continuation?.resume()
    }
  }

  private struct Registry {
    var next: UInt64 = 0
    var isClosed = false
    var tickets: [UInt64: Ticket] = [:]
    var rooms: [RoomID: Set<UInt64>] = [:]
    var devices: [DeviceID: Set<UInt64>] = [:]
  }

  private let registry = Mutex(Registry())

  var isClosed: Bool { registry.withLock { $0.isClosed } }

  func register(rooms: [RoomID], caller: Caller) -> Ticket {
    registry.withLock { registry in
      registry.next += 1
      let ticket = Ticket(id: registry.next, rooms: rooms, device: caller.device, session: caller.session)
      registry.tickets[ticket.id] = ticket
      for room in rooms { registry.rooms[room, default: []].insert(ticket.id) }
      registry.devices[caller.device, default: []].insert(ticket.id)
      return ticket
    }
  }

  func remove(_ ticket: Ticket) {
    registry.withLock { registry in
      registry.tickets[ticket.id] = nil
      for room in ticket.rooms {
        registry.rooms[room]?.remove(ticket.id)
        if registry.rooms[room]?.isEmpty == true { registry.rooms[room] = nil }
      }
      registry.devices[ticket.device]?.remove(ticket.id)
      if registry.devices[ticket.device]?.isEmpty == true { registry.devices[ticket.device] = nil }
    }
  }

  func hear(_ wakes: [Wake]) {
    let tickets: [Ticket] = registry.withLock { registry in
      guard !registry.tickets.isEmpty else { return [] }
      var found: Set<UInt64> = []
      for wake in wakes {
        switch wake {
        case .stored(let stored): found.formUnion(registry.rooms[stored.entry.room] ?? [])
        case .grown(let room, _): found.formUnion(registry.rooms[room] ?? [])
        case .look(.keyPackages, _), .look(.contacts, _), .tell, .doubted, .everything: break
        case .changed, .rumoured, .asks, .asked: break
        case .look(.welcomes, let devices), .look(.rooms, let devices), .devicesGone(let devices):
          for device in devices { found.formUnion(registry.devices[device] ?? []) }
        case .sessionEnded(let session):
          found.formUnion(registry.tickets.values.filter { $0.session == session }.map(\.id))
        }
      }
      return found.compactMap { registry.tickets[$0] }
    }
    for ticket in tickets { ticket.ring() }
  }

  func served() async -> Served {
    registry.withLock { registry in
      Served(
        rooms: Set(registry.rooms.keys),
        sessions: Dictionary(registry.tickets.values.map { ($0.session, $0.device) }) { first, _ in first })
    }
  }

  /// Rings everyone, now and from here on: the relay goes away.
  func close() {
    let tickets = registry.withLock { registry in
      registry.isClosed = true
      return Array(registry.tickets.values)
    }
    for ticket in tickets { ticket.ring() }
  }
}
