import CUV

/// What a connection tells its owner, synchronously on the loop.
protocol ByteStreamHandler: AnyObject {
  /// Bytes have come. They are gone after the call.
  func received(_ bytes: RawSpan)
  /// The peer will send nothing more, and said so properly; it may still read.
  func inputEnded()
  /// More than the high-water mark waits to be written.
  func congested()
  /// Nothing waits any more, after ``congested()``.
  func drained()
  /// The end; `nil` when we closed it ourselves.
  func closed(_ error: NetworkError?)
}

extension ByteStreamHandler {
  func congested() {}
  func drained() {}
}

/// A TCP connection, plain or with TLS inside: to its owner they are the same.
///
/// Confined to its loop.
///
/// All that is written during one loop turn leaves in one system call at the end of the turn.
final class TCPConnection: EventLoop.Resident, @unchecked Sendable {
  enum State {
    case connecting
    case open
    /// What is queued still goes out, then our end is closed.
    case finishing
    /// Our end is closed; we wait a little for the peer's, so that no reset destroys our last bytes on their way.
    case lingering
    case closed
  }

  /// How long a peer may take to close its end after we closed ours.
  static let lingerTime = Duration.seconds(2)

  let loop: EventLoop
  let handle = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
  // Of what a delivery touches nothing is checked for overlapping access when the program runs: that was half of its cost.
  // All of it is touched on the loop's thread only, and nobody is called back from within a change.

  /// The socket, while it is open.
  @exclusivity(unchecked) private(set) var descriptor: Int32 = -1
  @exclusivity(unchecked) var state = State.connecting
  // The small ones together: an idle connection is little more than this.
  @exclusivity(unchecked) var isDirty = false
  @exclusivity(unchecked) var isCongested = false
  private var isReading = false
  private var isPaused = false
  private var hasInputEnded = false
  private var isPumping = false
  private var isHandleOpen = false
  @exclusivity(unchecked) var tls: TLSEngine?
  /// Told of everything until the end; replaced when the connection changes its use.
  var handler: (any ByteStreamHandler)?
  /// Called at the very end, whoever the handler is by then.
  var onClose: (() -> Void)?
  private(set) var peer = SocketAddress(host: "", port: 0)
  /// When bytes last came, in the loop's milliseconds.
  private(set) var lastReceived: UInt64 = 0

  // The outgoing side; see TCPConnection+Write.
  @exclusivity(unchecked) var outgoing = OutgoingQueue()
  @exclusivity(unchecked) var inFlight: WriteRequest?
  @exclusivity(unchecked) var highWater = 1024 * 1024

  private var lingerTimer: EventLoop.Timer?

  init(loop: EventLoop) {
    self.loop = loop
  }

  deinit { handle.deallocate() }

  private static func of(_ data: UnsafeMutableRawPointer?) -> TCPConnection {
    Unmanaged<TCPConnection>.fromOpaque(data!).takeUnretainedValue()
  }

  /// Makes the handle.
  ///
  /// From here on ``abort(_:)`` must be called some time.
  func prepare() throws(NetworkError) {
    let result = uv_tcp_init(loop.uv, handle)
    guard result == 0 else { throw .uv(Int(result)) }
    handle.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    isHandleOpen = true
    // Alive until libuv has let go of the handle.
    loop.add(self)
  }

  /// The socket is connected: begin to read, with TLS if there is an engine.
  func begin() {
    guard state == .connecting else { return }
    var opened: uv_os_fd_t = -1
    guard uv_fileno(handle.asHandle, &opened) == 0 else { return abort(.uv(Int(UV_EBADF.rawValue))) }
    descriptor = opened
    state = .open
    uv_tcp_nodelay(handle, 1)
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutableBytes(of: &storage) {
      uv_tcp_getpeername(handle, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
    }
    guard result == 0 else { return abort(.uv(Int(result))) }
    peer = SocketAddress(&storage)
    lastReceived = uv_now(loop.uv)
    startReading()
    // A client speaks first.
    if let tls, tls.isClient { pumpTLS() }
  }

  // MARK: Reading

  private func startReading() {
    guard !isReading, !isPaused, isHandleOpen, !hasInputEnded else { return }
    isReading = true
    uv_read_start(
      handle.asStream,
      { handle, _, buffer in
        let loop = TCPConnection.of(handle!.pointee.data).loop
        buffer!.pointee = uv_buf_init(
          loop.readBuffer.baseAddress!.assumingMemoryBound(to: CChar.self), UInt32(EventLoop.readBufferSize))
      },
      { handle, count, _ in TCPConnection.of(handle!.pointee.data).didRead(count) })
  }

  private func stopReading() {
    guard isReading else { return }
    isReading = false
    uv_read_stop(handle.asStream)
  }

  private func didRead(_ count: Int) {
    loop.statistics.reads += 1
    if count > 0 {
      lastReceived = uv_now(loop.uv)
      let bytes = UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count])
      // While lingering we only wait for the end.
      guard state == .open || state == .finishing else { return }
      if let tls {
        tls.feed(bytes) { pumpTLS() }
      } else if state == .open {
        handler?.received(bytes.bytes)
      }
    } else if count == Int(UV_EOF.rawValue) {
      stopReading()
      guard state == .open else {
        if state == .lingering { abort(nil) }
        hasInputEnded = true
        return
      }
      // Without TLS's own farewell the end may be somebody else's doing.
      if tls != nil && !hasInputEnded {
        return abort(NetworkError(.closed, "the connection ended without the peer's farewell"))
      }
      endInput()
    } else if count < 0 {
      abort(.uv(count))
    }
  }

  private func endInput() {
    guard !hasInputEnded else { return }
    hasInputEnded = true
    handler?.inputEnded()
  }

  /// Lets TLS go on as far as it can: handshake, then whatever plain bytes it holds.
  private func pumpTLS() {
    // The owner may pause and resume while it looks at the buffer that the next round would overwrite.
    guard let tls, !isPumping else { return }
    isPumping = true
    defer { isPumping = false }
    do throws(NetworkError) {
      if !tls.isEstablished {
        try tls.handshake()
        markDirty()
        guard tls.isEstablished else { return }
      }
      while state == .open || state == .finishing, !isPaused {
        switch try tls.read(into: loop.plainBuffer) {
        case .bytes(let count):
          guard state == .open else { continue }
          handler?.received(UnsafeRawBufferPointer(rebasing: loop.plainBuffer[..<count]).bytes)
        case .needsInput:
          if tls.hasOutput { markDirty() }
          return
        case .ended:
          return endInput()
        }
      }
    } catch {
      // The alert that tells the peer why should still leave.
      flushAlert()
      abort(error)
    }
  }

  /// Takes nothing more from the peer until ``resume()``; the kernel's buffers then slow it down.
  func pause() {
    isPaused = true
    stopReading()
  }

  func resume() {
    guard isPaused else { return }
    isPaused = false
    guard state == .open else { return }
    // TLS may hold decrypted bytes for which the socket will never become readable again.
    pumpTLS()
    startReading()
  }

  // MARK: The end

  /// Sends what is queued, then closes.
  func finish() {
    guard state == .open else {
      if state == .connecting { abort(nil) }
      return
    }
    state = .finishing
    // The peer's end must be heard, also if its bytes are not wanted any more.
    isPaused = false
    startReading()
    markDirty()
  }

  /// Everything is sent: close our end and wait for the peer's.
  func closeOutput() {
    guard state == .finishing else { return }
    state = .lingering
    if hasInputEnded && !isReading { return abort(nil) }
    let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
    let result = uv_shutdown(request, handle.asStream) { request, _ in request?.deallocate() }
    if result != 0 {
      request.deallocate()
      return abort(nil)
    }
    lingerTimer = loop.schedule(after: TCPConnection.lingerTime) { [weak self] in self?.abort(nil) }
  }

  /// Closes now; what is queued is lost.
  func abort(_ error: NetworkError?) {
    guard state != .closed else { return }
    state = .closed
    lingerTimer?.cancel()
    lingerTimer = nil
    outgoing.removeAll()
    let handler = self.handler
    let onClose = self.onClose
    self.handler = nil
    self.onClose = nil
    if isHandleOpen {
      isHandleOpen = false
      isReading = false
      uv_close(handle.asHandle) { handle in
        let connection = TCPConnection.of(handle!.pointee.data)
        connection.tls = nil
        connection.loop.remove(connection)
      }
    }
    handler?.closed(error)
    onClose?()
  }

  func loopStops() { abort(NetworkError(.cancelled, "the event loop stops")) }

  func turnEnded() {
    isDirty = false
    flush()
  }
}
