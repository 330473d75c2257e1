import Testing

@testable import Networking

@Suite("URLs, paths and addresses")
struct WebURLTests {
  @Test(
    arguments: [
      ("http://Relay.Example", "http", "relay.example", 80, "/", "http://relay.example/"),
      (
        "https://relay.example:8443/a/b?c=d", "https", "relay.example", 8443, "/a/b",
        "https://relay.example:8443/a/b?c=d"
      ),
      ("WSS://relay.example:443?x", "wss", "relay.example", 443, "/", "wss://relay.example/?x"),
      ("ws://[::1]:9/s", "ws", "::1", 9, "/s", "ws://[::1]:9/s"),
      ("http://127.0.0.1:8080", "http", "127.0.0.1", 8080, "/", "http://127.0.0.1:8080/"),
    ] as [(String, String, String, UInt16, String, String)])
  func reads(text: String, scheme: String, host: String, port: UInt16, path: String, again: String) throws {
    let url = try WebURL(text)
    #expect(url.scheme.rawValue == scheme)
    #expect(url.host == host)
    #expect(url.port == port)
    #expect(url.path == path)
    #expect(url.description == again)
    #expect(try WebURL(again) == url)
  }

  @Test(arguments: [
    "", "relay.example", "ftp://x/", "http:/x", "http://", "http:///x", "http://u:p@x/", "http://x:0/",
    "http://x:65536/",
    "http://x:/", "http://x:+1/", "http://x y/", "http://x/\r\nA: b", "http://ü.example/", "http://x/#f",
    "http://[::1/",
    "http://[x]/", "http://[127.0.0.1]/", "http://[::1]x/", "http://a\\b/", "http://a%2fb/", "file:///etc/passwd",
    "http://x/" + String(repeating: "a", count: 5000),
  ])
  func refuses(text: String) {
    #expect(throws: NetworkError(.invalidURL, "")) { _ = try WebURL(text) }
  }

  @Test func grows() throws {
    let base = try WebURL("https://relay.example/base/")
    let url = base.appending(path: "/v1/rooms", query: [("after", "5"), ("q", "a b&c=ä")])
    #expect(url.description == "https://relay.example/base/v1/rooms?after=5&q=a%20b%26c%3D%C3%A4")
    #expect(base.with(scheme: .wss).description == "wss://relay.example/base/")
    #expect(try PercentCoding.query(url.query).map(\.value) == ["5", "a b&c=ä"])
  }

  @Test func decodesPathsOnce() throws {
    #expect(try PercentCoding.segments("/") == [])
    #expect(try PercentCoding.segments("/a//b/") == ["a", "", "b", ""])
    #expect(try PercentCoding.segments("/a%252fb/%C3%A4+") == ["a%2fb", "ä+"])
    for bad in ["/%", "/%4", "/%g0", "/%0a", "/%7f", "/.", "/a/..", "/%2E%2e/x", "/%c3"] {
      #expect(throws: NetworkError(.protocolViolation, ""), "\(bad)") { _ = try PercentCoding.segments(bad) }
    }
  }

  @Test func countsVisitors() {
    #expect(SocketAddress(host: "10.1.2.3", port: 1).visitor == "10.1.2.3")
    #expect(SocketAddress(host: "::ffff:10.1.2.3", port: 1).visitor == "10.1.2.3")
    let one = SocketAddress(host: "2001:db8:1:2:3::4", port: 1)
    #expect(one.visitor == SocketAddress(host: "2001:db8:1:2:ffff::9", port: 2).visitor)
    #expect(one.visitor != SocketAddress(host: "2001:db8:1:3:3::4", port: 1).visitor)
    #expect(one.description == "[2001:db8:1:2:3::4]:1")
  }

  @Test func findsHeadersWithoutCase() {
    var headers: HTTPHeaders = ["A": "1", "b": "x, Upgrade ,y"]
    headers.append("a", "2")
    #expect(headers["a"] == "1")
    #expect(headers.values(for: "A") == ["1", "2"])
    #expect(headers.contains(token: "upgrade", in: "B"))
    #expect(!headers.contains(token: "upgra", in: "B"))
    headers.set("A", "3")
    #expect(headers.values(for: "a") == ["3"])
  }
}
