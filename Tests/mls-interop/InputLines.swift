import Glibc

/// The lines of standard input, none of them longer than a limit.
struct InputLines {
  enum Line {
    case bytes([UInt8])
    case tooLong
  }

  /// A message of 64 MiB, the longest that a group takes, in base64 and with something around it.
  private static let limit = 96 << 20
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)
  private var filled = 0..<0

  /// The next line without its end, or none at the end of the input.
  mutating func next() -> Line? {
    var line: [UInt8] = []
    var isTooLong = false
    while true {
      if filled.isEmpty {
        let count = read(STDIN_FILENO, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return line.isEmpty ? nil : isTooLong ? .tooLong : .bytes(line) }
        filled = 0..<count
      }
      let end = buffer.withUnsafeBytes { bytes in
        memchr(bytes.baseAddress! + filled.lowerBound, Int32(UInt8(ascii: "\n")), filled.count)
          .map { UnsafeRawPointer($0) - bytes.baseAddress! }
      }
      let part = filled.lowerBound..<(end ?? filled.upperBound)
      isTooLong = isTooLong || line.count + part.count > Self.limit
      // One byte of what is too long is kept, so that the line does not look empty.
      if isTooLong { line = [0] } else { line += buffer[part] }
      filled = (end.map { $0 + 1 } ?? filled.upperBound)..<filled.upperBound
      if end != nil { return isTooLong ? .tooLong : .bytes(line) }
    }
  }
}

/// Writes all of it. False if nobody reads there any more.
func writeAll(_ bytes: [UInt8], to file: Int32 = STDOUT_FILENO) -> Bool {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return false }
    rest = rest.dropFirst(count)
  }
  return true
}
