import CUV
import Glibc

extension TCPConnection {
  /// How many bytes wait, here and in a write that the kernel has not taken.
  var queuedBytes: Int { outgoing.count + (inFlight?.bytes.count ?? 0) }

  /// How many bytes the kernel has not taken yet: unlike ``queuedBytes`` it falls while a long write is under way.
  var unsentBytes: Int {
    guard state != .closed, state != .connecting else { return 0 }
    return outgoing.count + uv_stream_get_write_queue_size(handle.asStream)
  }

  /// Adds to what this turn sends.
  func write(_ bytes: UnsafeRawBufferPointer) {
    guard state == .open || state == .connecting, !bytes.isEmpty else { return }
    outgoing.append(bytes) { loop.takeBuffer() }
    didQueue()
  }

  func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0) } }

  func write(_ bytes: SharedBytes) {
    guard state == .open || state == .connecting, bytes.count > 0 else { return }
    outgoing.append(bytes.storage) { loop.takeBuffer() }
    didQueue()
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

  /// Writes the first chunk, and the second with it; `false` when there is none.
  private func flushPlain() -> Bool {
    guard let first = outgoing.takeFirst() else { return false }
    outgoing.removed(first.count)
    if !outgoing.isEmpty, let second = outgoing.takeFirst() {
      outgoing.removed(second.count)
      send(first, second)
      recycle(consume second)
    } else {
      send(first)
    }
    recycle(consume first)
    return true
  }

  private func recycle(_ chunk: consuming OutgoingQueue.Chunk) {
    if case .copied(let bytes) = consume chunk { loop.recycle(consume bytes) }
  }

  /// Seals what is queued, at most a few records at a time, and writes it; `false` when there is nothing.
  private func flushTLS() -> Bool {
    guard let tls, tls.hasOutput || !outgoing.isEmpty else { return false }
    if tls.sealed.capacity == 0 { tls.sealed = loop.takeBuffer() }
    do throws(NetworkError) {
      while tls.isEstablished, tls.sealed.count < 64 * 1024, let chunk = outgoing.takeFirst() {
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
          recycle(consume chunk)
        }
      }
    } catch {
      abort(error)
      return false
    }
    guard tls.hasOutput else {
      loop.recycle(exchange(&tls.sealed, with: []))
      return false
    }
    let sealed = OutgoingQueue.Chunk.copied(exchange(&tls.sealed, with: []))
    send(sealed)
    recycle(consume sealed)
    return state != .closed
  }

  /// Writes what TLS has to say before the connection ends, if the kernel takes it at once.
  func flushAlert() {
    guard let tls, tls.hasOutput, inFlight == nil, state != .closed else { return }
    _ = tls.sealed.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Self.sendFlags) }
    tls.sealed = []
  }

  /// Tries to write the chunk at once; what the kernel does not take waits in a request.
  private func send(_ chunk: OutgoingQueue.Chunk) {
    let written = chunk.withBytes { taken(Glibc.send(descriptor, $0.baseAddress, $0.count, Self.sendFlags)) }
    guard let written, written < chunk.count else { return }
    wait(for: chunk, from: written)
  }

  /// The same for two, in one system call.
  private func send(_ first: OutgoingQueue.Chunk, _ second: OutgoingQueue.Chunk) {
    let written = first.withBytes { head in
      second.withBytes { rest in
        // The kernel only reads; the type does not say so.
        let parts = [head, rest].map {
          iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
        }
        return parts.withUnsafeBufferPointer { parts in
          var message = msghdr()
          message.msg_iov = UnsafeMutablePointer(mutating: parts.baseAddress)
          message.msg_iovlen = parts.count
          return taken(sendmsg(descriptor, &message, Self.sendFlags))
        }
      }
    }
    guard let written else { return }
    if written < first.count {
      outgoing.putBack(second)
      outgoing.removed(-second.count)
      wait(for: first, from: written)
    } else if written < first.count + second.count {
      wait(for: second, from: written - first.count)
    }
  }

  private static let sendFlags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)

  /// How much a call took, or `nil` if the connection is no more.
  private func taken(_ result: Int) -> Int? {
    loop.statistics.writes += 1
    guard result < 0 else { return result }
    // Not even a part of it was taken; nothing is lost by trying again when the socket is writable.
    if errno == EAGAIN || errno == EINTR || errno == ENOBUFS { return 0 }
    abort(.uv(-Int(errno)))
    return nil
  }

  /// Leaves the rest of a chunk to libuv, which writes it when the socket is writable.
  private func wait(for chunk: OutgoingQueue.Chunk, from written: Int) {
    switch chunk {
    case .shared(let storage): wait(for: WriteRequest(sharing: storage, from: written))
    case .copied(let bytes):
      wait(for: bytes.withUnsafeBytes { WriteRequest(copying: UnsafeRawBufferPointer(rebasing: $0[written...])) })
    }
  }

  private func wait(for pending: WriteRequest) {
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
    markDirty()
  }
}
