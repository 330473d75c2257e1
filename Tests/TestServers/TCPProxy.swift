import Foundation
import Glibc
import Synchronization

/// A link that can be broken as networks break: connections stay, and nothing comes through.
package final class TCPProxy: Sendable {
  private struct State {
    var isStalled = false
    var isClosed = false
    var descriptors: Set<Int32> = []
  }

  package let port: UInt16
  private let target: UInt16
  private let listener: Int32
  private let state = Mutex(State())

  package init(to target: UInt16) throws {
    self.target = target
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = Loopback.address(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
      }
    }
    guard result == 0, listen(descriptor, 64) == 0 else { throw ServerFailure("no proxy") }
    listener = descriptor
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [weak self] in
      while true {
        let accepted = accept(descriptor, nil, nil)
        guard accepted >= 0 else { return }
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        guard let self, !state.withLock({ $0.isClosed }), let onward = Loopback.connect(self.target) else {
          Glibc.close(accepted)
          if self == nil { return }
          continue
        }
        state.withLock { $0.descriptors.formUnion([accepted, onward]) }
        pump(accepted, onward)
        pump(onward, accepted)
      }
    }
  }

  deinit { close() }

  /// From here on nothing comes through, in either direction, and new connections hang.
  package func stall() { state.withLock { $0.isStalled = true } }
  /// What waited comes through now.
  package func heal() { state.withLock { $0.isStalled = false } }

  package func close() {
    let descriptors = state.withLock { state in
      state.isClosed = true
      return state.descriptors
    }
    shutdown(listener, Int32(SHUT_RDWR))
    for descriptor in descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
  }

  private func pump(_ source: Int32, _ sink: Int32) {
    Thread.detachNewThread { [weak self] in
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while true {
        let count = recv(source, &buffer, buffer.count, 0)
        guard count > 0 else { break }
        while self?.state.withLock({ $0.isStalled && !$0.isClosed }) == true { usleep(5000) }
        var rest = buffer[..<count]
        while !rest.isEmpty {
          let sent = rest.withUnsafeBytes { send(sink, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
          guard sent > 0 else { break }
          rest = rest.dropFirst(sent)
        }
        guard rest.isEmpty else { break }
      }
      // The descriptors are few, and closed with the process: closing one here could hit another's.
      shutdown(sink, Int32(SHUT_RDWR))
      shutdown(source, Int32(SHUT_RDWR))
    }
  }
}
