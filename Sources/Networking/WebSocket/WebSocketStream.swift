import Synchronization

/// A client's WebSocket as a sequence of messages, for one reader.
///
/// It ends when the socket does; ``closeCode`` then says why.
package final class WebSocketStream: AsyncSequence, Sendable {
  package enum Message: Equatable, Sendable {
    case binary([UInt8])
    case text(String)
  }

  package typealias Element = Message
  package typealias Failure = Never

  package let connection: WebSocketConnection
  private let inbox: WebSocketInbox

  init(connection: WebSocketConnection, inbox: WebSocketInbox) {
    self.connection = connection
    self.inbox = inbox
  }

  package struct AsyncIterator: AsyncIteratorProtocol {
    let inbox: WebSocketInbox

    package mutating func next() async -> Message? { await inbox.next() }

    package mutating func next(isolation actor: isolated (any Actor)?) async -> Message? { await inbox.next() }
  }

  package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(inbox: inbox) }

  /// How it ended; `nil` while it is open.
  package var closeCode: WebSocketCloseCode? { inbox.closing?.code }
  package var closeReason: String { inbox.closing?.reason ?? "" }

  /// Sends a message.
  ///
  /// Callable from anywhere.
  /// - Throws: `closed` when the socket is closing, `slowConsumer` when too much waits to be sent: try again later.
  package func send(binary bytes: [UInt8]) async throws(NetworkError) {
    try await connection.loop.perform { [connection] completion in
      if connection.send(binary: bytes) {
        completion(.success(()))
      } else if connection.isOpen {
        completion(.failure(NetworkError(.slowConsumer, "the server does not take what waits to be sent")))
      } else {
        completion(.failure(NetworkError(.closed, "the WebSocket is closed")))
      }
    }
  }

  /// Begins the closing handshake; the sequence ends when it is over.
  package func close(_ code: WebSocketCloseCode = .normal, reason: String = "") {
    connection.execute { $0.close(code, reason: reason) }
  }
}

/// Where messages wait for the reader; when many do, the socket stops reading.
final class WebSocketInbox: WebSocketHandler, Sendable {
  private struct State {
    var connection: WebSocketConnection?
    var messages: [WebSocketStream.Message] = []
    var first = 0
    var bytes = 0
    var isPaused = false
    var waiter: CheckedContinuation<WebSocketStream.Message?, Never>?
    var closing: (code: WebSocketCloseCode, reason: String)?

    mutating func pop() -> WebSocketStream.Message? {
      guard first < messages.count else { return nil }
      let message = messages[first]
      first += 1
      bytes -= WebSocketInbox.size(message)
      if first == messages.count || first >= 1024 {
        messages.removeFirst(first)
        first = 0
      }
      return message
    }
  }

  private static let highWater = 1024 * 1024
  private let state = Mutex(State())

  /// What a message costs to keep, small ones included.
  private static func size(_ message: WebSocketStream.Message) -> Int {
    switch message {
    case .binary(let bytes): bytes.count + 64
    case .text(let text): text.utf8.count + 64
    }
  }

  func attach(_ connection: WebSocketConnection) {
    state.withLock { $0.connection = connection }
  }

  var closing: (code: WebSocketCloseCode, reason: String)? { state.withLock { $0.closing } }

  func received(binary bytes: RawSpan) { add(.binary(bytes.array(0..<bytes.byteCount))) }
  func received(text: String) { add(.text(text)) }

  private func add(_ message: WebSocketStream.Message) {
    var paused: WebSocketConnection?
    var waiter: CheckedContinuation<WebSocketStream.Message?, Never>?
    state.withLock { state in
      if state.waiter != nil {
        swap(&waiter, &state.waiter)
        return
      }
      state.messages.append(message)
      state.bytes += WebSocketInbox.size(message)
      if state.bytes > WebSocketInbox.highWater && !state.isPaused {
        state.isPaused = true
        paused = state.connection
      }
    }
    waiter?.resume(returning: message)
    paused?.pause()
  }

  func closed(_ code: WebSocketCloseCode, reason: String) {
    var waiter: CheckedContinuation<WebSocketStream.Message?, Never>?
    state.withLock { state in
      state.closing = (code, reason)
      state.connection = nil
      swap(&waiter, &state.waiter)
    }
    waiter?.resume(returning: nil)
  }

  func next() async -> WebSocketStream.Message? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        var resumed: WebSocketConnection?
        var stale: CheckedContinuation<WebSocketStream.Message?, Never>?
        var answer: WebSocketStream.Message??
        // Read inside the lock: a cancellation that comes later finds the waiter.
        state.withLock { state in
          if let message = state.pop() {
            answer = .some(message)
            if state.isPaused && state.bytes < WebSocketInbox.highWater / 2 {
              state.isPaused = false
              resumed = state.connection
            }
          } else if state.closing != nil || Task.isCancelled {
            answer = .some(nil)
          } else {
            // A second reader would be a mistake; the first must not hang for it.
            stale = state.waiter
            state.waiter = continuation
          }
        }
        stale?.resume(returning: nil)
        resumed?.execute { connection in
          // More may have come, and paused it again, before this ran.
          if !self.state.withLock({ $0.isPaused }) { connection.resume() }
        }
        if let answer { continuation.resume(returning: answer) }
      }
    } onCancel: {
      var waiter: CheckedContinuation<WebSocketStream.Message?, Never>?
      state.withLock { swap(&waiter, &$0.waiter) }
      waiter?.resume(returning: nil)
    }
  }
}
