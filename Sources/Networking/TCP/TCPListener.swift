import CUV
import Glibc

/// Accepts connections on one loop.
///
/// Several listeners on several loops may share an address; the kernel spreads the visitors.
final class TCPListener: EventLoop.Resident, @unchecked Sendable {
  let loop: EventLoop
  private let handle = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
  private var isOpen = false
  private var accept: ((TCPConnection) -> Void)?

  init(loop: EventLoop) { self.loop = loop }

  deinit { handle.deallocate() }

  /// Makes sure that nobody listens on the address.
  ///
  /// Listeners that share a port among loops share it with every other process of the same user that shares its own: two
  /// relays would each get a part of the other's visitors, and neither would say so.
  ///
  /// - Throws: `addressInUse` when the address cannot be had.
  static func requireFree(_ address: sockaddr_storage) throws(NetworkError) {
    var address = address
    let isWide = address.ss_family == sa_family_t(AF_INET6)
    let descriptor = socket(Int32(address.ss_family), Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw NetworkError.uv(Int(-errno)) }
    defer { Glibc.close(descriptor) }
    // What is left of connections that ended is no listener.
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    let length = isWide ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
    let bound = withUnsafeBytes(of: &address) {
      bind(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(length))
    }
    guard bound == 0 else { throw NetworkError.uv(Int(-errno)) }
  }

  /// Binds and listens.
  ///
  /// Only on the loop.
  ///
  /// - Throws: `addressInUse` when the address cannot be had.
  func listen(
    _ address: sockaddr_storage, sharesPort: Bool, backlog: Int32, accept: @escaping (TCPConnection) -> Void
  ) throws(NetworkError) -> SocketAddress {
    let result = uv_tcp_init_ex(loop.uv, handle, UInt32(address.ss_family))
    guard result == 0 else { throw .uv(Int(result)) }
    handle.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    isOpen = true
    self.accept = accept
    loop.add(self)
    do throws(NetworkError) {
      if sharesPort {
        var descriptor: uv_os_fd_t = -1
        var one: Int32 = 1
        guard uv_fileno(handle.asHandle, &descriptor) == 0,
          setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, socklen_t(MemoryLayout<Int32>.size)) == 0
        else { throw NetworkError(.internalError, "the kernel cannot share a port among loops") }
      }
      var address = address
      let bound = withUnsafeBytes(of: &address) {
        uv_tcp_bind(handle, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), 0)
      }
      guard bound == 0 else { throw NetworkError.uv(Int(bound)) }
      let listening = uv_listen(handle.asStream, backlog) { handle, status in
        guard status == 0 else { return }
        Unmanaged<TCPListener>.fromOpaque(handle!.pointee.data).takeUnretainedValue().acceptOne()
      }
      guard listening == 0 else { throw NetworkError.uv(Int(listening)) }
      var actual = sockaddr_storage()
      var length = Int32(MemoryLayout<sockaddr_storage>.size)
      let named = withUnsafeMutableBytes(of: &actual) {
        uv_tcp_getsockname(handle, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
      }
      guard named == 0 else { throw NetworkError.uv(Int(named)) }
      return SocketAddress(&actual)
    } catch {
      close()
      throw error
    }
  }

  private func acceptOne() {
    let connection = TCPConnection(loop: loop)
    do throws(NetworkError) {
      try connection.prepare()
    } catch {
      return
    }
    guard uv_accept(handle.asStream, connection.handle.asStream) == 0 else { return connection.abort(nil) }
    guard let accept else { return connection.abort(nil) }
    accept(connection)
  }

  /// Listens no more.
  ///
  /// Only on the loop.
  func close() {
    guard isOpen else { return }
    isOpen = false
    accept = nil
    uv_close(handle.asHandle) { handle in
      let listener = Unmanaged<TCPListener>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
      listener.loop.remove(listener)
    }
  }

  func loopStops() { close() }
}
