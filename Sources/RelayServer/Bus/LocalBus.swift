import Synchronization

/// The bus of a relay that is alone: calls its listeners.
final class LocalBus: Bus {
  private let listeners = Mutex<[any BusListener]>([])

  func add(_ listener: any BusListener) { listeners.withLock { $0.append(listener) } }

  /// Breaks the cycle between a bus and those who publish on it.
  func removeAll() { listeners.withLock { $0.removeAll() } }

  func publish(_ wakes: [Wake]) {
    guard !wakes.isEmpty else { return }
    for listener in listeners.withLock({ $0 }) { listener.hear(wakes) }
  }
}
