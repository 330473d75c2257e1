/// Some loops, usually one per core.
///
/// A connection stays on the loop that accepted it.
package final class EventLoopGroup: Sendable {
  package let loops: [EventLoop]

  package init(count: Int) {
    loops = (0..<max(1, count)).map { _ in EventLoop() }
  }

  /// Stops all loops; returns when their threads have ended.
  package func shutdown() async {
    for loop in loops { await loop.shutdown() }
  }
}
