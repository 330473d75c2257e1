import CUV
import Glibc

/// A numeric address and a port, as of a peer or of a listener.
package struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address as text: `127.0.0.1`, `2001:db8::1`.
  ///
  /// An IPv4 address mapped into IPv6 is shown as IPv4.
  package let host: String
  package let port: UInt16

  package init(host: String, port: UInt16) {
    let mapped = "::ffff:"
    self.host = host.hasPrefix(mapped) && host.contains(".") ? String(host.dropFirst(mapped.count)) : host
    self.port = port
  }

  package var isIPv6: Bool { host.utf8.contains(UInt8(ascii: ":")) }

  package var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// What counts as one visitor: an IPv4 address or an IPv6 /64, since a single household owns all of the latter.
  package var visitor: String {
    guard isIPv6 else { return host }
    var address = in6_addr()
    guard inet_pton(AF_INET6, host, &address) == 1 else { return host }
    return withUnsafeBytes(of: &address) { bytes in
      stride(from: 0, to: 8, by: 2).map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }
        .joined(separator: ":") + "::/64"
    }
  }

  /// Reads what the kernel gave; an unknown family becomes an empty host.
  init(_ address: UnsafePointer<sockaddr_storage>) {
    let family = Int32(address.pointee.ss_family)
    var text = [CChar](repeating: 0, count: 64)
    let raw = UnsafeRawPointer(address)
    switch family {
    case AF_INET:
      let inet = raw.assumingMemoryBound(to: sockaddr_in.self)
      uv_ip4_name(inet, &text, text.count)
      self.init(host: SocketAddress.string(text), port: UInt16(bigEndian: inet.pointee.sin_port))
    case AF_INET6:
      let inet = raw.assumingMemoryBound(to: sockaddr_in6.self)
      uv_ip6_name(inet, &text, text.count)
      self.init(host: SocketAddress.string(text), port: UInt16(bigEndian: inet.pointee.sin6_port))
    default:
      self.init(host: "", port: 0)
    }
  }

  private static func string(_ text: [CChar]) -> String {
    String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Turns numeric text into what the kernel takes; `nil` when the text is a name.
  static func storage(host: String, port: UInt16) -> sockaddr_storage? {
    var storage = sockaddr_storage()
    let isNumeric = withUnsafeMutableBytes(of: &storage) { bytes in
      let base = bytes.baseAddress!
      return uv_ip4_addr(host, Int32(port), base.assumingMemoryBound(to: sockaddr_in.self)) == 0
        || uv_ip6_addr(host, Int32(port), base.assumingMemoryBound(to: sockaddr_in6.self)) == 0
    }
    return isNumeric ? storage : nil
  }
}
