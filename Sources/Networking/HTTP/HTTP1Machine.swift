/// HTTP/1.1 message framing as a pure state machine: bytes in, events out, no input or output of its own (RFC 9112).
///
/// Strict on purpose: whatever two parsers could read differently is refused (request smuggling). Memory is bounded by the
/// limits before it is taken. After it has thrown once, it throws the same for ever.
struct HTTP1Machine {
  enum Role: Sendable { case server, client }

  struct Limits: Sendable {
    var headBytes = 16 * 1024
    var lineBytes = 8 * 1024
    var headers = 100
    var bodyBytes = 1024 * 1024
    /// One chunk's size line with its extensions; extensions are skipped.
    var chunkLineBytes = 256
    /// Responses before the real one, such as 103.
    var interimResponses = 8
    init() {}
  }

  enum Event: Sendable {
    case request(HTTPRequestHead)
    case response(HTTPResponseHead)
    /// The message is complete; its body is ``HTTP1Machine/takeBody()``.
    case end
  }

  private enum State {
    case head
    case body(remaining: Int)
    case chunkSize
    case chunkData(remaining: Int)
    case chunkEnd
    case trailers
    case untilClose
    /// The message is complete, and the owner has been told; waits for ``HTTP1Machine/startNext(toHead:)``.
    case done
    case failed(NetworkError)
  }

  let role: Role
  var limits: Limits
  private var state = State.head
  /// Bytes of the head, or of a chunk's line or trailers, so far.
  private var line: [UInt8] = []
  private var lineEnds: [Int] = []
  private var lineStart = 0
  private var sawCR = false
  private var body: [UInt8] = []
  private var toHead = false
  private var interims = 0
  private var skippedBlank = false

  init(role: Role, limits: Limits = Limits()) {
    self.role = role
    self.limits = limits
  }

  /// Whether a message has begun but not ended.
  var isInMessage: Bool {
    switch state {
    case .head: !line.isEmpty || sawCR
    case .done: false
    default: true
    }
  }

  /// Gets ready for the next message on the connection.
  ///
  /// For a client: whether it will answer a HEAD.
  mutating func startNext(toHead: Bool = false) {
    guard case .done = state else {
      self.toHead = toHead
      return
    }
    state = .head
    self.toHead = toHead
    interims = 0
    skippedBlank = false
    body = []
    resetLine()
  }

  /// How much of the present body is here.
  var bodyCount: Int { body.count }

  mutating func takeBody() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &body)
    return taken
  }

  private mutating func resetLine() {
    line.removeAll(keepingCapacity: false)
    lineEnds.removeAll(keepingCapacity: true)
    lineStart = 0
    sawCR = false
  }

  /// Consumes bytes from the offset on until there is something to tell; `nil` when it needs more.
  ///
  /// Call it again after an event, also when no bytes are left: the end of an empty body follows from the head alone.
  /// - Throws: what the peer did wrong, with the status that it should be told.
  mutating func next(_ input: RawSpan, _ offset: inout Int) throws(NetworkError) -> Event? {
    do throws(NetworkError) {
      return try step(input, &offset)
    } catch {
      state = .failed(error)
      throw error
    }
  }

  /// The peer has closed: a complete body if that is how it ends.
  mutating func inputEnded() throws(NetworkError) -> Event? {
    switch state {
    case .untilClose:
      state = .done
      return .end
    case .head where line.isEmpty: return nil
    case .done: return nil
    default:
      let error = NetworkError(.closed, "the connection ended within a message")
      state = .failed(error)
      throw error
    }
  }

  private mutating func step(_ input: RawSpan, _ offset: inout Int) throws(NetworkError) -> Event? {
    while true {
      switch state {
      case .failed(let error): throw error
      case .done: return nil
      case .head:
        guard try readLines(input, &offset, untilBlank: true) else { return nil }
        if let event = try headComplete() { return event }
      case .body(let remaining):
        guard remaining > 0 else { return finish() }
        let count = min(remaining, input.byteCount - offset)
        guard count > 0 else { return nil }
        try take(input, &offset, count)
        state = .body(remaining: remaining - count)
      case .untilClose:
        let count = input.byteCount - offset
        guard count > 0 else { return nil }
        try take(input, &offset, count)
      case .chunkSize:
        guard try readLines(input, &offset, untilBlank: false) else { return nil }
        try chunkSizeComplete()
      case .chunkData(let remaining):
        let count = min(remaining, input.byteCount - offset)
        guard count > 0 else { return nil }
        try take(input, &offset, count)
        state = remaining == count ? .chunkEnd : .chunkData(remaining: remaining - count)
      case .chunkEnd:
        guard try readLines(input, &offset, untilBlank: false) else { return nil }
        guard line.isEmpty else { throw HTTP1Head.violation("a chunk is longer than its size") }
        resetLine()
        state = .chunkSize
      case .trailers:
        guard try readLines(input, &offset, untilBlank: true) else { return nil }
        // Checked, then dropped: nothing here may come from a trailer.
        _ = try HTTP1Head.fields(lines()[...])
        resetLine()
        return finish()
      }
    }
  }

  private mutating func finish() -> Event {
    state = .done
    return .end
  }

  private mutating func take(_ input: RawSpan, _ offset: inout Int, _ count: Int) throws(NetworkError) {
    guard body.count + count <= limits.bodyBytes else { throw tooLarge() }
    input.extracting(offset..<(offset + count)).withUnsafeBytes { body.append(contentsOf: $0) }
    offset += count
  }

  private func tooLarge() -> NetworkError { NetworkError(.tooLarge, "the body is too large", status: 413) }

  // MARK: Lines

  /// Collects one line, or all up to an empty one; without the line ends.
  ///
  /// `true` when complete.
  private mutating func readLines(
    _ input: RawSpan, _ offset: inout Int, untilBlank: Bool
  ) throws(NetworkError) -> Bool {
    while offset < input.byteCount {
      let byte = input.byte(offset)
      offset += 1
      if sawCR {
        guard byte == 0x0a else { throw HTTP1Head.violation("a carriage return without a line feed") }
        sawCR = false
        let isBlank = line.count == lineStart
        if !untilBlank { return true }
        if isBlank {
          // One empty line before a request is forgiven (RFC 9112, section 2.2).
          if case .head = state, lineEnds.isEmpty {
            guard role == .server, !skippedBlank else {
              throw HTTP1Head.violation("an empty line instead of a message")
            }
            skippedBlank = true
            continue
          }
          return true
        }
        lineEnds.append(line.count)
        lineStart = line.count
        guard lineEnds.count <= limits.headers + 1 else {
          throw NetworkError(.tooLarge, "too many header fields", status: 431)
        }
        continue
      }
      switch byte {
      case 0x0d: sawCR = true
      case 0x09, 0x20..<0x7f, 0x80...: line.append(byte)
      default: throw HTTP1Head.violation("a control character in a head")
      }
      try checkLineLimits()
    }
    return false
  }

  private func checkLineLimits() throws(NetworkError) {
    switch state {
    case .chunkSize, .chunkEnd:
      guard line.count <= limits.chunkLineBytes else { throw HTTP1Head.violation("a chunk's line is too long") }
    default:
      var isFirst = false
      if case .head = state { isFirst = lineEnds.isEmpty }
      // Two for each line end that is not stored.
      guard line.count + 2 * lineEnds.count <= limits.headBytes else {
        throw NetworkError(.tooLarge, "the head is too large", status: isFirst ? 414 : 431)
      }
      if isFirst, line.count > limits.lineBytes {
        throw NetworkError(.tooLarge, "the first line is too long", status: 414)
      }
    }
  }

  private func lines() -> [ArraySlice<UInt8>] {
    var start = 0
    return lineEnds.map { end in
      defer { start = end }
      return line[start..<end]
    }
  }

  // MARK: Steps

  private mutating func headComplete() throws(NetworkError) -> Event? {
    let lines = lines()
    let framing: HTTP1Framing
    let event: Event?
    switch role {
    case .server:
      let head = try HTTP1Head.request(lines)
      framing = head.framing
      event = .request(head)
    case .client:
      let head = try HTTP1Head.response(lines, toHead: toHead)
      if head.status < 200 && head.status != 101 {
        interims += 1
        guard interims <= limits.interimResponses else { throw HTTP1Head.violation("too many interim responses") }
        resetLine()
        return nil
      }
      framing = head.framing
      event = .response(head)
    }
    resetLine()
    switch framing {
    case .none: state = .body(remaining: 0)
    case .length(let length):
      // A client's limit is known already; a server's may be set for this very request, so it is checked as bytes come.
      guard role == .server || length <= limits.bodyBytes else { throw tooLarge() }
      state = .body(remaining: length)
    case .chunked: state = .chunkSize
    case .untilClose: state = .untilClose
    }
    return event
  }

  private mutating func chunkSizeComplete() throws(NetworkError) {
    let end = line.firstIndex(of: 0x3b) ?? line.endIndex
    let digits = line[..<end]
    guard !digits.isEmpty, digits.count <= 8 else { throw HTTP1Head.violation("a chunk's size is not a number") }
    var size = 0
    for digit in digits {
      switch digit {
      case 0x30...0x39: size = size << 4 | Int(digit - 0x30)
      case 0x41...0x46: size = size << 4 | Int(digit - 0x37)
      case 0x61...0x66: size = size << 4 | Int(digit - 0x57)
      default: throw HTTP1Head.violation("a chunk's size is not a number")
      }
    }
    guard body.count + size <= limits.bodyBytes else { throw tooLarge() }
    resetLine()
    state = size == 0 ? .trailers : .chunkData(remaining: size)
  }
}
