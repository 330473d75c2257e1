import CUV
import Glibc

/// Turns a host name into addresses, on libuv's threads, because the system's resolver blocks.
enum Resolver {
  private final class Query {
    let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
    let port: UInt16
    let completion: (Result<[sockaddr_storage], NetworkError>) -> Void

    init(port: UInt16, completion: @escaping (Result<[sockaddr_storage], NetworkError>) -> Void) {
      self.port = port
      self.completion = completion
    }

    deinit { request.deallocate() }
  }

  /// Calls back on the loop, at once when the host is a numeric address.
  ///
  /// Only on the loop.
  static func resolve(
    _ host: String, port: UInt16, on loop: EventLoop,
    completion: @escaping (Result<[sockaddr_storage], NetworkError>) -> Void
  ) {
    if let storage = SocketAddress.storage(host: host, port: port) { return completion(.success([storage])) }
    let query = Query(port: port, completion: completion)
    query.request.pointee.data = Unmanaged.passRetained(query).toOpaque()
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    let result = uv_getaddrinfo(
      loop.uv, query.request,
      { request, status, found in
        let query = Unmanaged<Query>.fromOpaque(request!.pointee.data).takeRetainedValue()
        var addresses: [sockaddr_storage] = []
        var next = found
        while status == 0, let entry = next, addresses.count < 16 {
          if let address = entry.pointee.ai_addr, let copy = Resolver.copy(address, port: query.port) {
            addresses.append(copy)
          }
          next = entry.pointee.ai_next
        }
        if let found { uv_freeaddrinfo(found) }
        let failure = NetworkError(.dnsFailed, "the host name has no address, or the resolver does not answer")
        query.completion(addresses.isEmpty ? .failure(failure) : .success(addresses))
      }, host, nil, &hints)
    if result != 0 {
      Unmanaged.passUnretained(query).release()
      completion(.failure(NetworkError(.dnsFailed, "the host name cannot be looked up")))
    }
  }

  private static func copy(_ address: UnsafeMutablePointer<sockaddr>, port: UInt16) -> sockaddr_storage? {
    var storage = sockaddr_storage()
    let size: Int
    switch Int32(address.pointee.sa_family) {
    case AF_INET: size = MemoryLayout<sockaddr_in>.size
    case AF_INET6: size = MemoryLayout<sockaddr_in6>.size
    default: return nil
    }
    withUnsafeMutableBytes(of: &storage) { bytes in
      bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: size))
      // The port is at the same place in both families.
      bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
    }
    return storage
  }
}
