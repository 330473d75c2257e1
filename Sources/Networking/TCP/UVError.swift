import CUV

extension NetworkError {
  /// What libuv's number means for us.
  static func uv(_ number: Int, file: StaticString = #fileID, line: UInt = #line) -> NetworkError {
    switch Int32(truncatingIfNeeded: number) {
    case UV_ECONNREFUSED.rawValue:
      NetworkError(.refused, "nothing listens there", file: file, line: line)
    case UV_ETIMEDOUT.rawValue:
      NetworkError(.timedOut, "the peer does not answer", file: file, line: line)
    case UV_EADDRINUSE.rawValue:
      NetworkError(.addressInUse, "another program listens on that address", file: file, line: line)
    case UV_EADDRNOTAVAIL.rawValue:
      NetworkError(.addressInUse, "that address does not belong to this machine", file: file, line: line)
    case UV_EACCES.rawValue, UV_EPERM.rawValue:
      NetworkError(.addressInUse, "this user may not listen on that address", file: file, line: line)
    case UV_EHOSTUNREACH.rawValue, UV_ENETUNREACH.rawValue, UV_ENETDOWN.rawValue, UV_EHOSTDOWN.rawValue:
      NetworkError(.unreachable, "there is no way to that address", file: file, line: line)
    case UV_ECONNRESET.rawValue, UV_EPIPE.rawValue, UV_ECONNABORTED.rawValue, UV_EOF.rawValue, UV_ENOTCONN.rawValue:
      NetworkError(.closed, "the peer closed the connection", file: file, line: line)
    case UV_ECANCELED.rawValue:
      NetworkError(.cancelled, "cancelled", file: file, line: line)
    case UV_EMFILE.rawValue, UV_ENFILE.rawValue, UV_ENOMEM.rawValue, UV_ENOBUFS.rawValue:
      NetworkError(.unreachable, "out of file descriptors or memory", file: file, line: line)
    default:
      NetworkError(.closed, "the connection failed", file: file, line: line)
    }
  }
}

extension UnsafeMutablePointer where Pointee == uv_tcp_t {
  var asStream: UnsafeMutablePointer<uv_stream_t> {
    UnsafeMutableRawPointer(self).assumingMemoryBound(to: uv_stream_t.self)
  }
  var asHandle: UnsafeMutablePointer<uv_handle_t> {
    UnsafeMutableRawPointer(self).assumingMemoryBound(to: uv_handle_t.self)
  }
}
