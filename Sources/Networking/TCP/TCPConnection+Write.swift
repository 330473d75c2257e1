import CUV

/// What a connection is to send: chunks in order, the last of which still grows.
struct OutgoingQueue {
  enum Chunk {
    case copied([UInt8])
    case shared(SharedBytes.Storage)

    var count: Int {
      switch self {
      case .copied(let bytes): bytes.count
      case .shared(let storage): storage.memory.count
      }
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
      switch self {
      case .copied(let bytes): bytes.withUnsafeBytes(body)
      case .shared(let storage): body(storage.memory)
      }
    }
  }

  private var chunks: [Chunk] = []
  private var tail: [UInt8] = []
  /// How much of the first chunk is gone already.
  var headOffset = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// Below that, copying is cheaper than keeping a reference and a system call of its own.
  static let sharingThreshold = 16 * 1024

  mutating func append(_ bytes: UnsafeRawBufferPointer, spare: () -> [UInt8]) {
    if tail.capacity == 0 { tail = spare() }
    tail.append(contentsOf: bytes)
    count += bytes.count
  }

  mutating func append(_ storage: SharedBytes.Storage) {
    closeTail()
    chunks.append(.shared(storage))
    count += storage.memory.count
  }

  private mutating func closeTail() {
    guard !tail.isEmpty else { return }
    var closed: [UInt8] = []
    swap(&closed, &tail)
    chunks.append(.copied(closed))
  }

  /// Takes the first chunk out, to be followed by `advance` or `putBack`.
  mutating func takeFirst() -> Chunk? {
    guard !chunks.isEmpty else {
      guard !tail.isEmpty else { return nil }
      var taken: [UInt8] = []
      swap(&taken, &tail)
      return .copied(taken)
    }
    return chunks.removeFirst()
  }

  mutating func putBack(_ chunk: Chunk) { chunks.insert(chunk, at: 0) }

  /// That many bytes have left the queue.
  mutating func removed(_ bytes: Int) { count -= bytes }

  mutating func removeAll() { self = OutgoingQueue() }
}

/// A write that the kernel could not take at once: keeps its bytes until it has.
final class WriteRequest {
  let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
  let bytes: UnsafeRawBufferPointer
  private let owned: UnsafeMutableRawBufferPointer?
  private let shared: SharedBytes.Storage?

  init(copying source: UnsafeRawBufferPointer) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 8)
    memory.copyMemory(from: source)
    owned = memory
    shared = nil
    bytes = UnsafeRawBufferPointer(memory)
  }

  init(sharing storage: SharedBytes.Storage, from offset: Int) {
    owned = nil
    shared = storage
    bytes = UnsafeRawBufferPointer(rebasing: storage.memory[offset...])
  }

  deinit {
    request.deallocate()
    owned?.deallocate()
  }
}

extension TCPConnection {
  /// How many bytes wait, here and in a write that the kernel has not taken.
  var queuedBytes: Int { outgoing.count + (inFlight?.bytes.count ?? 0) }

  /// Adds to what this turn sends.
  func write(_ bytes: UnsafeRawBufferPointer) {
    guard state == .open || state == .connecting, !bytes.isEmpty else { return }
    willQueue()
    outgoing.append(bytes) { loop.takeBuffer() }
    didQueue()
  }

  func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0) } }

  func write(_ bytes: SharedBytes) {
    guard bytes.count >= OutgoingQueue.sharingThreshold else { return write(bytes.storage.memory) }
    guard state == .open || state == .connecting else { return }
    willQueue()
    outgoing.append(bytes.storage)
    didQueue()
  }

  /// Until now nothing waited, so nobody was slow.
  private func willQueue() {
    if outgoing.isEmpty && inFlight == nil { lastProgress = uv_now(loop.uv) }
  }

  private func didQueue() {
    markDirty()
    if queuedBytes > highWater && !isCongested {
      // The kernel may take it all yet; only what it refuses counts.
      if inFlight == nil && state == .open { flush() }
      if queuedBytes > highWater && state == .open {
        isCongested = true
        handler?.congested()
      }
    }
  }

  func markDirty() {
    guard !isDirty, state == .open || state == .finishing else { return }
    isDirty = true
    loop.atEndOfTurn(self)
  }

  /// Hands the kernel all that it takes.
  func flush() {
    guard state == .open || state == .finishing else { return }
    while inFlight == nil, state == .open || state == .finishing {
      let hasMore = tls == nil ? flushPlain() : flushTLS()
      if !hasMore { break }
    }
    guard outgoing.isEmpty, inFlight == nil else { return }
    if isCongested {
      isCongested = false
      handler?.drained()
    }
    if state == .finishing, outgoing.isEmpty, inFlight == nil {
      if let tls, tls.beginShutdown() {
        _ = flushTLS()
        guard inFlight == nil else { return }
      }
      closeOutput()
    }
  }

  /// Writes the first chunk; `false` when there is none.
  private func flushPlain() -> Bool {
    guard let chunk = outgoing.takeFirst() else { return false }
    outgoing.removed(chunk.count)
    send(chunk)
    if case .copied(let bytes) = chunk { loop.recycle(bytes) }
    return true
  }

  /// Seals what is queued, at most a few records at a time, and writes it; `false` when there is nothing.
  private func flushTLS() -> Bool {
    guard let tls else { return false }
    do throws(NetworkError) {
      while tls.isEstablished, tls.outputCount < 64 * 1024, let chunk = outgoing.takeFirst() {
        let offset = outgoing.headOffset
        let total = chunk.count
        let written = chunk.withBytes { bytes in
          Result { () throws(NetworkError) in
            try tls.write(UnsafeRawBufferPointer(rebasing: bytes[offset..<min(total, offset + 64 * 1024)]))
          }
        }
        let count = try written.get()
        outgoing.removed(count)
        if offset + count < total {
          outgoing.headOffset = offset + count
          outgoing.putBack(chunk)
          if count == 0 { break }
        } else {
          outgoing.headOffset = 0
          if case .copied(let bytes) = chunk { loop.recycle(bytes) }
        }
      }
    } catch {
      abort(error)
      return false
    }
    guard tls.hasOutput else { return false }
    var sealed = loop.takeBuffer()
    tls.takeOutput(into: &sealed)
    send(.copied(sealed))
    loop.recycle(sealed)
    return state != .closed
  }

  /// Writes what TLS has to say before the connection ends, if the kernel takes it at once.
  func flushAlert() {
    guard let tls, tls.hasOutput, inFlight == nil, state != .closed else { return }
    var sealed: [UInt8] = []
    tls.takeOutput(into: &sealed)
    sealed.withUnsafeMutableBytes { bytes in
      var buffer = uv_buf_init(bytes.baseAddress!.assumingMemoryBound(to: CChar.self), UInt32(bytes.count))
      _ = uv_try_write(handle.asStream, &buffer, 1)
    }
  }

  /// Tries to write the chunk at once; what the kernel does not take waits in a request.
  private func send(_ chunk: OutgoingQueue.Chunk) {
    loop.statistics.writes += 1
    let total = chunk.count
    let result = chunk.withBytes { bytes -> Int in
      // The kernel only reads; libuv's type does not say so.
      let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress!).assumingMemoryBound(to: CChar.self)
      var buffer = uv_buf_init(base, UInt32(truncatingIfNeeded: bytes.count))
      return Int(uv_try_write(handle.asStream, &buffer, 1))
    }
    if result == total {
      lastProgress = uv_now(loop.uv)
      return
    }
    guard result >= 0 || result == Int(UV_EAGAIN.rawValue) else { return abort(.uv(result)) }
    let written = max(0, result)
    if written > 0 { lastProgress = uv_now(loop.uv) }
    let pending: WriteRequest
    switch chunk {
    case .shared(let storage): pending = WriteRequest(sharing: storage, from: written)
    case .copied(let bytes):
      pending = bytes.withUnsafeBytes { WriteRequest(copying: UnsafeRawBufferPointer(rebasing: $0[written...])) }
    }
    inFlight = pending
    // The write request keeps the connection, and through it the bytes, until libuv is done with both.
    pending.request.pointee.data = Unmanaged.passRetained(self).toOpaque()
    let base = UnsafeMutableRawPointer(mutating: pending.bytes.baseAddress!).assumingMemoryBound(to: CChar.self)
    var buffer = uv_buf_init(base, UInt32(truncatingIfNeeded: pending.bytes.count))
    let queued = uv_write(pending.request, handle.asStream, &buffer, 1) { request, status in
      let connection = Unmanaged<TCPConnection>.fromOpaque(request!.pointee.data).takeRetainedValue()
      connection.didWrite(Int(status))
    }
    if queued != 0 {
      Unmanaged.passUnretained(self).release()
      inFlight = nil
      abort(.uv(Int(queued)))
    }
  }

  private func didWrite(_ status: Int) {
    inFlight = nil
    guard status == 0 else { return abort(.uv(status)) }
    lastProgress = uv_now(loop.uv)
    markDirty()
  }
}
