import Networking
import Observability

/// One connection to Redis that is kept up: connects anew after jittered pauses, notices a silent peer, and bounds what waits.
///
/// Confined to its loop, but for ``init``.
final class RedisLink: TCPClientHandler, @unchecked Sendable {
  typealias Answer = @Sendable (RedisReply?) -> Void

  /// Commands without an answer; more are refused.
  static let maxWaiting = 4096
  static let maxQueued = 4 << 20

  private let loop: EventLoop
  private let configuration: RedisConfiguration
  /// `nil`: commands. Else the link only listens.
  private let channel: [UInt8]?
  private let log: Log
  private var client: TCPClient?
  private var reader: RedisReader?
  private var waiting: [Answer] = []
  private var answered = 0
  private var timer: EventLoop.Timer?
  private var lastHeard = ContinuousClock.now
  private var failures = 0
  private var isClosed = false

  /// Whether commands can be given, or the channel is listened to.
  private(set) var isUp = false
  var onUp: () -> Void = {}
  var onMessage: ([UInt8]) -> Void = { _ in }

  init(loop: EventLoop, configuration: RedisConfiguration, channel: [UInt8]?, log: Log) {
    (self.loop, self.configuration, self.channel, self.log) = (loop, configuration, channel, log)
  }

  func start() {
    guard !isClosed, client == nil else { return }
    timer?.cancel()
    lastHeard = .now
    let client = TCPClient(loop: loop)
    self.client = client
    reader = try? RedisReader()
    client.connect(
      to: configuration.host, port: configuration.port, tls: configuration.tls, timeout: configuration.timeout,
      handler: self)
  }

  func close() {
    isClosed = true
    fall()
    (onUp, onMessage) = ({}, { _ in })
  }

  /// Sends a command; `false` if it cannot be sent now. `answer` is called once, on the loop: with `nil` if the connection ended
  /// before, so that nobody knows whether the command was obeyed.
  func send(_ command: RedisCommand, _ answer: @escaping Answer) -> Bool {
    guard isUp, channel == nil else { return false }
    return write(command, answer)
  }

  private func write(_ command: RedisCommand, _ answer: @escaping Answer) -> Bool {
    guard let client, waiting.count - answered < Self.maxWaiting, client.queuedBytes < Self.maxQueued else {
      return false
    }
    let bytes = command.encoded
    guard !bytes.isEmpty else { return false }
    waiting.append(answer)
    client.write(bytes)
    return true
  }

  // MARK: The connection

  func connected() {
    var greetings: [RedisCommand] = []
    if !configuration.password.isEmpty {
      greetings.append(
        configuration.user.isEmpty
          ? RedisCommand("AUTH", configuration.password)
          : RedisCommand("AUTH", configuration.user, configuration.password))
    }
    let last = greetings.count
    if let channel {
      greetings.append(RedisCommand(words: [Array("SUBSCRIBE".utf8), channel]))
    } else {
      greetings.append(RedisCommand("PING"))
    }
    for (index, greeting) in greetings.enumerated() {
      _ = write(greeting) { [weak self] reply in
        guard let self, let reply else { return }
        if case .failure = reply {
          log.warning("redis refuses this relay")
          return self.fail()
        }
        if index == last { self.rise() }
      }
    }
    // A name for whoever looks at Redis's clients; one that may not be set is not missed.
    if channel == nil, !configuration.node.isEmpty {
      _ = write(RedisCommand("CLIENT", "SETNAME", "kin-" + configuration.node)) { _ in }
    }
    timer = loop.schedule(every: configuration.heartbeat) { [weak self] in self?.beat() }
  }

  private func rise() {
    guard !isUp else { return }
    (isUp, failures) = (true, 0)
    log.info("redis answers", ["listening": channel != nil])
    onUp()
  }

  /// A peer that is silent though it was asked is as good as none.
  private func beat() {
    guard lastHeard.duration(to: .now) < configuration.timeout else { return fail() }
    _ = write(RedisCommand("PING")) { _ in }
  }

  func received(_ bytes: RawSpan) {
    lastHeard = .now
    do throws(RedisReader.Malformed) {
      try reader?.feed(bytes)
      while let reply = try reader?.next() { take(reply) }
    } catch {
      log.warning("redis sent what cannot be read")
      fail()
    }
  }

  private func take(_ reply: RedisReply) {
    if channel != nil, case .list(let parts) = reply, parts.count == 3, parts[0] == .bytes(Array("message".utf8)) {
      if case .bytes(let message) = parts[2] { onMessage(message) }
      return
    }
    guard answered < waiting.count else { return }
    let answer = waiting[answered]
    answered += 1
    if answered == waiting.count || answered > 256 {
      waiting.removeFirst(answered)
      answered = 0
    }
    answer(reply)
  }

  func closed(_ error: NetworkError) { fail() }

  private func fail() {
    guard client != nil, !isClosed else { return }
    if isUp {
      log.warning("redis is gone", ["listening": channel != nil])
    } else if failures == 0 {
      log.warning("redis does not answer", ["listening": channel != nil])
    }
    fall()
    failures += 1
    let (least, most) = (configuration.pauses.lowerBound, configuration.pauses.upperBound)
    let pause = min(most, least * (1 << min(failures - 1, 16)))
    timer = loop.schedule(after: pause * Double.random(in: 0.5...1)) { [weak self] in self?.start() }
  }

  private func fall() {
    isUp = false
    timer?.cancel()
    timer = nil
    client?.close()
    client = nil
    reader = nil
    let left = waiting[answered...]
    (waiting, answered) = ([], 0)
    for answer in left { answer(nil) }
  }
}
