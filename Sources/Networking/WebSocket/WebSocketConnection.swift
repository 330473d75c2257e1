import CUV

/// One end of an open WebSocket, server's or client's.
///
/// Confined to its loop; ``execute(_:)`` gets there from elsewhere. It answers pings, pings a silent peer, and closes a dead
/// one by itself.
package final class WebSocketConnection: ByteStreamHandler, @unchecked Sendable {
  package var loop: EventLoop { stream.loop }
  package var peer: SocketAddress { stream.peer }
  /// The subprotocol that both sides agreed on.
  package let subprotocol: String?

  let stream: TCPConnection
  private let role: WebSocketMachine.Role
  /// Those of all the sockets of a server.
  private let limits: WebSocketLimits.Shared
  private var machine: WebSocketMachine
  private var handler: (any WebSocketHandler)?
  private var leftover: [UInt8] = []
  private var isPaused = false
  private var isProcessing = false
  // As in TCPConnection: read for each delivery.
  @exclusivity(unchecked) private var hasSentClose = false
  private var closing: (code: WebSocketCloseCode, reason: String)?
  private var timer: EventLoop.Timer?
  private var isAwaitingPong = false
  private var pingedAt: UInt64 = 0
  /// When the peer's silence is looked at next, in the loop's milliseconds.
  private var nextCheck: UInt64 = 0

  init(stream: TCPConnection, role: WebSocketMachine.Role, subprotocol: String?, limits: WebSocketLimits.Shared) {
    self.stream = stream
    self.role = role
    self.subprotocol = subprotocol
    self.limits = limits
    machine = WebSocketMachine(role: role, maxMessageBytes: limits.values.maxMessageBytes)
  }

  /// Takes the stream over, with what has been read of it already.
  func begin(_ handler: any WebSocketHandler, leftover: [UInt8]) {
    self.handler = handler
    self.leftover = leftover
    stream.handler = self
    stream.highWater = limits.values.highWaterBytes
    stream.resume()
    scheduleKeepAlive(after: limits.values.pingInterval)
    processLeftover()
  }

  // MARK: Sending

  /// How many bytes wait for the peer to take them.
  package var queuedBytes: Int { stream.queuedBytes }

  /// Whether messages can still be sent.
  package var isOpen: Bool { stream.state == .open && !hasSentClose }

  /// Sends a message with this turn's others.
  ///
  /// Only on the loop.
  /// - Returns: `false` when it was not taken: the socket is closing, or too much is queued.
  @discardableResult
  package func send(binary bytes: [UInt8]) -> Bool { send(.binary, bytes) }

  @discardableResult
  package func send(text: String) -> Bool { send(.text, Array(text.utf8)) }

  /// Sends a frame made by ``SharedBytes/webSocketFrame(binary:)``, or several such; only a server's socket can (a client
  /// must mask each frame).
  @discardableResult
  package func send(frame: SharedBytes) -> Bool {
    assert(loop.isCurrent)
    guard role == .server, isOpen, hasRoom(frame.count) else { return false }
    stream.write(frame)
    return stream.state == .open
  }

  private func send(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> Bool {
    assert(loop.isCurrent)
    guard isOpen, hasRoom(payload.count) else { return false }
    write(opcode, payload)
    return stream.state == .open
  }

  private func hasRoom(_ count: Int) -> Bool { count <= limits.values.maxQueuedBytes - stream.queuedBytes }

  private func write(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
    // The mask must not be predictable, so it comes from the system's generator (RFC 6455, section 5.3).
    guard role == .server else {
      return stream.write(WebSocketFrame.encode(opcode, payload, mask: .random(in: .min ... .max)))
    }
    WebSocketFrame.Head(opcode, count: payload.count, mask: nil).withBytes { stream.write($0) }
    if payload.count >= OutgoingQueue.sharingThreshold {
      stream.write(SharedBytes(payload))
    } else {
      stream.write(payload)
    }
  }

  /// Runs the body on the socket's loop.
  ///
  /// Callable from anywhere.
  package func execute(_ body: @escaping @Sendable (WebSocketConnection) -> Void) {
    loop.execute { body(self) }
  }

  // MARK: Closing

  /// Begins the closing handshake; ``WebSocketHandler/closed(_:reason:)`` follows.
  package func close(_ code: WebSocketCloseCode = .normal, reason: String = "") {
    guard isOpen else { return }
    closing = (code, reason)
    sendClose(code.isSendable ? code : .normal, reason: reason)
    // Its answer must be heard.
    isPaused = false
    stream.resume()
    processLeftover()
    timer?.cancel()
    timer = loop.schedule(after: limits.values.closeTimeout) { [weak self] in self?.stream.abort(nil) }
  }

  private func sendClose(_ code: WebSocketCloseCode, reason: String) {
    guard !hasSentClose else { return }
    hasSentClose = true
    let payload = code == .noStatus ? [] : WebSocketFrame.closePayload(code, reason: reason)
    write(.close, payload)
  }

  /// Cuts the connection without a word.
  func abort(_ code: WebSocketCloseCode) {
    if closing == nil { closing = (code, "") }
    stream.abort(nil)
  }

  // MARK: Receiving

  /// Stops reading from the peer until ``resume()``: how a receiver that cannot keep up slows its sender.
  package func pause() {
    guard !isPaused, isOpen else { return }
    isPaused = true
    stream.pause()
  }

  package func resume() {
    guard isPaused else { return }
    isPaused = false
    stream.resume()
    processLeftover()
  }

  func received(_ bytes: RawSpan) {
    // A second read cannot come while the first is worked on, but one can while its rest waits for `resume`.
    guard leftover.isEmpty, !isPaused, !isProcessing else {
      bytes.withUnsafeBytes { leftover.append(contentsOf: $0) }
      return
    }
    let used = process(bytes)
    if used < bytes.byteCount { leftover = bytes.array(used..<bytes.byteCount) }
  }

  private func processLeftover() {
    guard !isProcessing, !isPaused, !leftover.isEmpty else { return }
    var bytes: [UInt8] = []
    swap(&bytes, &leftover)
    let used = process(bytes.span.bytes)
    if used < bytes.count { leftover = Array(bytes[used...]) + leftover }
  }

  /// Works until the bytes are used up or the receiver pauses; the result says how many are done with.
  private func process(_ bytes: RawSpan) -> Int {
    isProcessing = true
    defer { isProcessing = false }
    var offset = 0
    do throws(WebSocketFault) {
      while !isPaused, stream.state == .open, let event = try machine.next(bytes, &offset) {
        switch event {
        case .binary(let message):
          // After our close frame the peer's messages are not wanted any more.
          guard !hasSentClose else { continue }
          handler?.received(binary: message.span.bytes)
          machine.recycle(message)
        case .text(let text):
          if !hasSentClose { handler?.received(text: text) }
        case .ping(let payload):
          // A peer that pings but does not read must not fill our memory.
          if !hasSentClose, hasRoom(payload.count) { write(.pong, payload) }
        case .pong: isAwaitingPong = false
        case .close(let code, let reason):
          if closing == nil { closing = (code, reason) }
          sendClose(code, reason: "")
          stream.finish()
          return bytes.byteCount
        }
      }
    } catch {
      if closing == nil { closing = (error.code, "") }
      sendClose(error.code, reason: "")
      stream.finish()
      return bytes.byteCount
    }
    return stream.state == .open ? offset : bytes.byteCount
  }

  func inputEnded() {
    // Without a close frame it is abnormal; a half-open WebSocket is of no use.
    stream.finish()
  }

  func congested() {
    handler?.slow()
  }

  func drained() { handler?.drained() }

  func closed(_ error: NetworkError?) {
    timer?.cancel()
    timer = nil
    let handler = self.handler
    self.handler = nil
    leftover = []
    handler?.closed(closing?.code ?? .abnormal, reason: closing?.reason ?? "")
  }

  // MARK: Keep-alive

  private func scheduleKeepAlive(after delay: Duration) {
    nextCheck = uv_now(loop.uv) + delay.milliseconds
    // A server has one clock for all its sockets: tens of thousands of timers would be a good part of their memory.
    guard role == .client else { return }
    timer = loop.schedule(after: delay) { [weak self] in self?.keepAlive() }
  }

  /// A server's clock has ticked.
  func checkTime(_ now: UInt64) {
    if now >= nextCheck { keepAlive() }
  }

  private func keepAlive() {
    guard isOpen else { return }
    let now = uv_now(loop.uv)
    if isPaused {
      // We do not listen, so silence says nothing.
      isAwaitingPong = false
      return scheduleKeepAlive(after: limits.values.pingInterval)
    }
    let silent = now - min(now, stream.lastReceived)
    if isAwaitingPong && stream.lastReceived <= pingedAt {
      return abort(.abnormal)
    }
    isAwaitingPong = false
    if silent >= limits.values.pingInterval.milliseconds {
      isAwaitingPong = true
      pingedAt = now
      write(.ping, [])
      scheduleKeepAlive(after: limits.values.pongTimeout)
    } else {
      scheduleKeepAlive(after: .milliseconds(Int64(limits.values.pingInterval.milliseconds - silent)))
    }
  }
}
