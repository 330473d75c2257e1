import COpenSSL

/// What stands in a socket's place for OpenSSL: one for all the connections of a loop, which works on one at a time.
///
/// One for each would be 200 bytes of every idle connection.
///
/// Confined to its loop.
final class TLSPassage {
  private let bio: OpaquePointer
  /// Whose bytes pass.
  private var engine: TLSEngine?

  init() throws(NetworkError) {
    guard let bio = TLSPassage.method.flatMap({ BIO_new($0) }) else {
      throw NetworkError(.internalError, "OpenSSL has no memory")
    }
    self.bio = bio
    BIO_set_init(bio, 1)
    BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
  }

  deinit { BIO_free(bio) }

  /// Makes it the way in and out of a connection, which has to end before it.
  func attach(_ ssl: OpaquePointer) {
    BIO_up_ref(bio)
    SSL_set_bio(ssl, bio, bio)
  }

  /// Has OpenSSL's reads and writes within the body go to the engine.
  func serve<Result>(_ engine: TLSEngine, _ body: () -> Result) -> Result {
    // A connection that is being read may have another one write.
    let outer = self.engine
    self.engine = engine
    defer { self.engine = outer }
    ERR_clear_error()
    return body()
  }

  // Made once and never changed.
  nonisolated(unsafe) private static let method: OpaquePointer? = {
    guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kin") else { return nil }
    BIO_meth_set_write_ex(method) { bio, bytes, count, written in
      guard let engine = TLSPassage.engine(of: bio), let bytes, let written else { return 0 }
      engine.sealed.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: count))
      written.pointee = count
      return 1
    }
    BIO_meth_set_read_ex(method) { bio, bytes, room, count in
      guard let engine = TLSPassage.engine(of: bio), let bytes, let count else { return 0 }
      BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY)
      count.pointee = engine.takeInput(into: UnsafeMutableRawBufferPointer(start: bytes, count: room))
      guard count.pointee == 0 else { return 1 }
      BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
      return 0
    }
    // There is nothing to flush, which is a success; all else is not known here.
    BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
    return method
  }()

  private static func engine(of bio: OpaquePointer?) -> TLSEngine? {
    BIO_get_data(bio).flatMap { Unmanaged<TLSPassage>.fromOpaque($0).takeUnretainedValue().engine }
  }
}
