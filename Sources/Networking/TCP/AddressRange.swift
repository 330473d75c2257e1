import Glibc

/// An address, or a block of addresses in the notation of RFC 4632: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.
package struct AddressRange: Hashable, Sendable, CustomStringConvertible {
  package let description: String
  private let address: [UInt8]
  private let bits: Int

  /// `nil` when the text is no such range, or when its address has bits beyond the block: that is a mistake more often
  /// than a wish.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let address = AddressRange.bytes(of: String(parts[0])) else { return nil }
    var bits = address.count * 8
    if parts.count == 2 {
      guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ $0 &- 0x30 < 10 }), let number = Int(parts[1]), number <= bits
      else { return nil }
      bits = number
    }
    let isBlock = address.indices.allSatisfy { index in
      address[index] & ~AddressRange.mask(bits, index) == 0
    }
    guard isBlock else { return nil }
    (self.address, self.bits) = (address, bits)
    description = text
  }

  /// Whether the numeric address is in the range; what is no address is in none.
  package func contains(_ host: String) -> Bool {
    guard let other = AddressRange.bytes(of: host), other.count == address.count else { return false }
    return address.indices.allSatisfy { other[$0] & AddressRange.mask(bits, $0) == address[$0] }
  }

  /// The bits of that byte which belong to a prefix of that length.
  private static func mask(_ bits: Int, _ index: Int) -> UInt8 {
    let left = min(8, max(0, bits - 8 * index))
    return UInt8(truncatingIfNeeded: 0xff00 >> left)
  }

  /// Four or sixteen bytes; an IPv4 address inside IPv6 is IPv4.
  static func bytes(of host: String) -> [UInt8]? {
    guard host.utf8.count <= 45, !host.utf8.contains(0) else { return nil }
    var four = in_addr()
    if inet_pton(AF_INET, host, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
    var sixteen = in6_addr()
    guard inet_pton(AF_INET6, host, &sixteen) == 1 else { return nil }
    let bytes = withUnsafeBytes(of: &sixteen) { Array($0) }
    let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
    return isMapped ? Array(bytes[12...]) : bytes
  }
}

extension SocketAddress {
  /// Who sent a request: the peer itself, or whom the proxies that are trusted name.
  ///
  /// Every proxy appends whom it heard from to `X-Forwarded-For`, so the list is read from its end and believed as far as
  /// the addresses on it are trusted ones: the first that is not is the client. What stands before it the client may have
  /// written itself.
  static func client(
    peer: SocketAddress, headers: HTTPHeaders, trusted: [AddressRange]
  ) -> SocketAddress {
    func isTrusted(_ host: String) -> Bool { trusted.contains { $0.contains(host) } }
    guard !trusted.isEmpty, isTrusted(peer.host) else { return peer }
    var found = peer
    for text in headers.values(for: "X-Forwarded-For").flatMap({ HTTPHeaders.elements($0) }).reversed() {
      // A proxy that is trusted and says nothing readable stands for all its clients together.
      guard let host = forwarded(text) else { break }
      found = SocketAddress(host: host, port: 0)
      guard isTrusted(host) else { break }
    }
    return found
  }

  /// The address of an entry, which some proxies write with a port.
  private static func forwarded(_ text: String) -> String? {
    var host = Substring(text)
    if host.hasPrefix("[") {
      guard let end = host.lastIndex(of: "]") else { return nil }
      host = host[host.index(after: host.startIndex)..<end]
    } else if host.contains("."), let colon = host.lastIndex(of: ":"), !host[..<colon].contains(":") {
      host = host[..<colon]
    }
    guard let bytes = AddressRange.bytes(of: String(host)) else { return nil }
    // Written anew, so that one address has one text.
    var text = [CChar](repeating: 0, count: 64)
    inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
