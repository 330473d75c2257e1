import CryptoPrimitives
import Observability

/// The keys of an issuer as a running relay has them: asked for again at an interval, on SIGHUP, and when a token names one
/// that is not known.
///
/// An actor on Swift's own threads: no event loop ever waits for a file or for the issuer.
actor IssuerKeys {
  private let source: KeySetSource
  private let interval: Duration
  private let log: Log
  private let failures: Counter
  private let now: @Sendable () -> UInt64
  private var cache: KeySetCache
  /// The question under way, for all who want its answer.
  private var question: Task<Void, Never>?
  private var isClosed = false

  init(
    source: KeySetSource, first: KeySet?, interval: Duration, pause: Duration, failures: Counter, log: Log,
    now: @escaping @Sendable () -> UInt64
  ) {
    (self.source, self.interval, self.failures, self.log, self.now) = (source, interval, failures, log, now)
    cache = KeySetCache(pause: pause.wholeMilliseconds, set: first)
  }

  enum Found: Sendable {
    case key(JWSKey)
    case unknown
    /// No set has come yet.
    case noSet
  }

  /// The key of a name. Who asks for one that is not known waits for the issuer's answer, if it is time to ask.
  func find(_ name: KeySet.Name) async -> Found {
    if let key = cache.set?[name] { return .key(key) }
    await refresh()
    guard let set = cache.set else { return .noSet }
    return set[name].map { .key($0) } ?? .unknown
  }

  /// Asks now, if there was no question just before.
  func refresh() async {
    guard !isClosed else { return }
    if let question { return await question.value }
    guard cache.mayAsk(now: now()) else { return }
    await ask()
  }

  /// Asks now, whatever was before: the operator says that there is something new.
  func reload() async {
    guard !isClosed else { return }
    if let question { await question.value }
    _ = cache.mayAsk(now: now())
    await ask()
  }

  private func ask() async {
    if let question { return await question.value }
    let task = Task { [source] in
      let answer = await source.read()
      self.take(answer)
    }
    question = task
    await task.value
  }

  private func take(_ answer: Result<KeySet, KeySet.Fault>) {
    question = nil
    guard !isClosed else { return }
    if case .failure = answer { failures.add() }
    switch cache.take(answer) {
    case .none: break
    case .reached: log.info("external keys read", ["keys": cache.set?.count ?? 0])
    case .lost(let fault):
      log.warning(
        "external keys cannot be had, the last ones stay",
        ["fault": fault.rawValue, "keys": cache.set?.count ?? 0])
    }
  }

  /// Asks at the interval, sooner after a failure; returns when its task is cancelled.
  func run() async {
    while !Task.isCancelled && !isClosed {
      await refresh()
      let wait = cache.isFailing ? min(interval, .seconds(30)) : interval
      try? await Task.sleep(for: wait)
    }
  }

  /// Ends a question under way; nothing is asked any more.
  func close() async {
    isClosed = true
    question?.cancel()
    await question?.value
  }
}
