import CHiredis

/// What Redis answers (RESP 2).
enum RedisReply: Sendable, Equatable {
  case status(String)
  case failure(String)
  case integer(Int64)
  case bytes([UInt8])
  case list([RedisReply])
  case none

  /// Copies a reply out of hiredis's memory.
  fileprivate init(_ reply: UnsafePointer<redisReply>) {
    let bytes = UnsafeRawBufferPointer(
      start: reply.pointee.str, count: reply.pointee.str == nil ? 0 : reply.pointee.len)
    switch reply.pointee.type {
    case REDIS_REPLY_STATUS: self = .status(String(decoding: bytes, as: UTF8.self))
    case REDIS_REPLY_ERROR: self = .failure(String(decoding: bytes, as: UTF8.self))
    case REDIS_REPLY_INTEGER: self = .integer(Int64(reply.pointee.integer))
    case REDIS_REPLY_STRING: self = .bytes(Array(bytes))
    case REDIS_REPLY_ARRAY:
      var elements: [RedisReply] = []
      for index in 0..<reply.pointee.elements {
        // hiredis bounds the nesting.
        elements.append(reply.pointee.element[index].map { RedisReply($0) } ?? .none)
      }
      self = .list(elements)
    default: self = .none
    }
  }
}

/// Cuts what comes from Redis into replies, by hiredis's reader. Confined to one thread.
final class RedisReader {
  /// Bytes of one reply that has not come to its end. Nothing that Kin asks for or says is near it: whoever sends more is not
  /// read on, instead of being given the relay's memory.
  static let maxPending = 1 << 20

  struct Malformed: Error {}

  private let reader: UnsafeMutablePointer<redisReader>

  init() throws(Malformed) {
    guard let reader = redisReaderCreate() else { throw Malformed() }
    self.reader = reader
  }

  deinit { redisReaderFree(reader) }

  /// Takes in what has come.
  func feed(_ bytes: RawSpan) throws(Malformed) {
    let pending = reader.pointee.len - reader.pointee.pos
    guard pending + bytes.byteCount <= Self.maxPending else { throw Malformed() }
    let result = bytes.withUnsafeBytes { bytes in
      redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }
    guard result == REDIS_OK else { throw Malformed() }
  }

  /// The next complete reply; `nil` until more has come.
  func next() throws(Malformed) -> RedisReply? {
    var reply: UnsafeMutableRawPointer?
    guard redisReaderGetReply(reader, &reply) == REDIS_OK else { throw Malformed() }
    guard let reply else { return nil }
    defer { freeReplyObject(reply) }
    return RedisReply(reply.assumingMemoryBound(to: redisReply.self))
  }
}

/// What Redis is asked: words of any bytes.
struct RedisCommand: Sendable {
  var words: [[UInt8]]

  init(_ words: String...) { self.words = words.map { Array($0.utf8) } }
  init(words: [[UInt8]]) { self.words = words }

  /// As it is sent, by hiredis's formatter; empty if it has no memory for it.
  var encoded: [UInt8] {
    // One piece of memory for all words, so that all pointers are good at once.
    var flat: [UInt8] = []
    for word in words { flat += word }
    let lengths = words.map(\.count)
    return flat.withUnsafeBytes { flat in
      // A word may be empty, and so may be all of them: the pointer is then never read.
      let start = flat.baseAddress ?? UnsafeRawPointer(bitPattern: 1)
      var offset = 0
      var pointers: [UnsafePointer<CChar>?] = []
      for length in lengths {
        pointers.append(start?.advanced(by: offset).assumingMemoryBound(to: CChar.self))
        offset += length
      }
      var command: UnsafeMutablePointer<CChar>?
      let count = redisFormatCommandArgv(&command, Int32(words.count), &pointers, lengths)
      guard count > 0, let command else { return [] }
      defer { redisFreeCommand(command) }
      return Array(UnsafeRawBufferPointer(start: command, count: Int(count)))
    }
  }
}
