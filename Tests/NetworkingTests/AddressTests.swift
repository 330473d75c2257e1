import Testing

@testable import Networking

@Suite("Whose address counts")
struct AddressTests {
  @Test(arguments: [
    ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8", "192.0.2", "::192.0.2.7", "x", ""]),
    ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["11.0.0.0", "9.255.255.255", "::a00:1"]),
    ("192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.128"]),
    ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::1"]),
    ("2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::1", "10.0.0.1"]),
    ("::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]), ("::/0", ["::", "ff::"], ["1.2.3.4"]),
  ])
  func containsWhatIsInside(text: String, inside: [String], outside: [String]) throws {
    let range = try #require(AddressRange(text))
    #expect(range.description == text)
    for host in inside { #expect(range.contains(host), "\(host)") }
    for host in outside { #expect(!range.contains(host), "\(host)") }
  }

  @Test(arguments: [
    "", "/", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/", "10.0.0/8",
    "010.0.0.1", "::1/129", "2001:db8::1/32", "example.org", "*", "10.0.0.0 /8", "::ffff:10.0.0.0/104",
  ])
  func refusesWhatIsNoRange(text: String) { #expect(AddressRange(text) == nil) }

  /// Who the client is, when the peer is 10.0.0.1 and 10.0.0.0/8 and 2001:db8:1::/48 are proxies.
  @Test(arguments: [
    ([], "10.0.0.1"), (["192.0.2.1"], "192.0.2.1"), (["1.1.1.1, 192.0.2.1"], "192.0.2.1"),
    // The client wrote the first itself; the proxies on the way added the rest.
    (["10.0.0.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"), (["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
    (["6.6.6.6", "192.0.2.1, 10.0.0.3", "10.0.0.2"], "192.0.2.1"), (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    (["192.0.2.1, 2001:db8:1::7"], "192.0.2.1"), (["2001:DB8:0::7"], "2001:db8::7"),
    (["[2001:db8::7]:443"], "2001:db8::7"), (["192.0.2.1:1234"], "192.0.2.1"), (["::ffff:192.0.2.1"], "192.0.2.1"),
    // What is no address ends the belief: the client is then whoever reported it.
    (["192.0.2.1, unknown"], "10.0.0.1"), (["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
    (["192.0.2.1, _hidden, 10.0.0.2"], "10.0.0.2"), (["192.0.2.1, 10.0.0.2\t;x"], "10.0.0.1"),
    (["192.0.2.1 10.0.0.2"], "10.0.0.1"), ([" , ,"], "10.0.0.1"), (["::1%lo"], "10.0.0.1"),
  ])
  func believesTrustedProxiesOnly(lines: [String], client: String) throws {
    var headers = HTTPHeaders()
    for line in lines { headers.append("X-Forwarded-For", line) }
    let trusted = try ["10.0.0.0/8", "2001:db8:1::/48"].map { try #require(AddressRange($0)) }
    let peer = SocketAddress(host: "10.0.0.1", port: 9)
    #expect(SocketAddress.client(peer: peer, headers: headers, trusted: trusted).host == client)
    // The same from somebody else, or where nobody is trusted, says nothing.
    let stranger = SocketAddress(host: "203.0.113.5", port: 9)
    #expect(SocketAddress.client(peer: stranger, headers: headers, trusted: trusted) == stranger)
    #expect(SocketAddress.client(peer: peer, headers: headers, trusted: []) == peer)
  }
}
