import Networking
import Observability
import Synchronization

/// A node's two connections to Redis, one that commands and one that listens, on a loop and thread of their own.
///
/// Redis may be away at any time: commands are then refused at once, and nothing waits for it. Any thread may call.
final class Redis: Sendable {
  let configuration: RedisConfiguration
  private let loop = EventLoop()
  private let commands: RedisLink
  private let listener: RedisLink

  init(_ configuration: RedisConfiguration, log: Log) {
    self.configuration = configuration
    commands = RedisLink(loop: loop, configuration: configuration, channel: nil, log: log)
    listener = RedisLink(
      loop: loop, configuration: configuration, channel: Array(configuration.channel.utf8), log: log)
  }

  var channel: String { configuration.channel }

  /// Begins to connect.
  ///
  /// - Parameters:
  ///   - ready: called on the loop whenever commands can be given again.
  ///   - listening: called on the loop whenever the channel is listened to again; what was said before is lost.
  ///   - message: called on the loop with each message of the channel.
  func start(
    ready: @escaping @Sendable () -> Void, listening: @escaping @Sendable () -> Void,
    message: @escaping @Sendable ([UInt8]) -> Void
  ) {
    loop.execute { [self] in
      commands.onUp = ready
      listener.onUp = listening
      listener.onMessage = message
      commands.start()
      listener.start()
    }
  }

  /// Runs a body on the loop, where ``send(_:_:)`` may be called.
  func execute(_ body: @escaping @Sendable () -> Void) { loop.execute(body) }

  /// Runs a body on the loop again and again.
  func schedule(every interval: Duration, _ body: @escaping @Sendable () -> Void) -> EventLoop.Timer {
    loop.schedule(every: interval, body)
  }

  /// Runs a body on the loop once.
  func schedule(after delay: Duration, _ body: @escaping @Sendable () -> Void) -> EventLoop.Timer {
    loop.schedule(after: delay, body)
  }

  /// Whether commands can be given. Only on the loop.
  var isUp: Bool { commands.isUp }

  /// As ``RedisLink/send(_:_:)``. Only on the loop.
  func send(_ command: RedisCommand, _ answer: @escaping RedisLink.Answer) -> Bool { commands.send(command, answer) }

  /// Ends both connections when Redis has what was given to it; nothing is called back any more but answers.
  func close() async {
    await withCheckedContinuation { continuation in
      loop.execute { [self] in
        // Answered after all that was sent before, or when the connection ends.
        if !commands.send(RedisCommand("PING"), { _ in continuation.resume() }) { continuation.resume() }
      }
    }
    loop.execute { [self] in
      commands.close()
      listener.close()
    }
    await loop.shutdown()
  }
}
