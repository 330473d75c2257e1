import Glibc

/// The lines of standard input as they come, read by a thread of their own so that nothing else waits for them.
enum InputLines {
  /// The longest line that is taken; a longer one is given in pieces of this many bytes.
  static let longest = 64 << 10

  static func start() -> AsyncStream<String> {
    let (stream, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
    let box = Unmanaged.passRetained(Box(continuation))
    var thread = pthread_t()
    let started = pthread_create(
      &thread, nil,
      { pointer in
        guard let pointer else { return nil }
        Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue().read()
        return nil
      }, box.toOpaque())
    if started == 0 {
      pthread_detach(thread)
    } else {
      box.release()
      continuation.finish()
    }
    return stream
  }

  private final class Box {
    let continuation: AsyncStream<String>.Continuation

    init(_ continuation: AsyncStream<String>.Continuation) { self.continuation = continuation }

    func read() {
      var line: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = Glibc.read(STDIN_FILENO, &buffer, buffer.count)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { break }
        for byte in buffer[0..<count] {
          if byte != UInt8(ascii: "\n") { line.append(byte) }
          if byte == UInt8(ascii: "\n") || line.count == InputLines.longest {
            continuation.yield(String(decoding: line, as: UTF8.self))
            line = []
          }
        }
      }
      if !line.isEmpty { continuation.yield(String(decoding: line, as: UTF8.self)) }
      continuation.finish()
    }
  }
}
