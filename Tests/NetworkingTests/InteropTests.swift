import Foundation
import Testing

@testable import Networking

/// Others' clients against our server.
@Suite("Interoperation")
struct InteropTests {
  @Test func servesPythonsClient() async throws {
    try await withServer { _, address in
      let script = """
        import http.client
        c = http.client.HTTPConnection("\(address.host)", \(address.port), timeout=10)
        for i in range(20):
            c.request("POST", "/p/%d?x=y" % i, body=b"z" * i * 1000, headers={"X-Other": "1"})
            r = c.getresponse(); body = r.read()
            assert r.status == 200 and body == b"z" * i * 1000, (r.status, len(body))
            assert r.getheader("X-Segments") == "p|%d" % i
        c.request("POST", "/", body=iter([b"one", b"two"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        r = c.getresponse(); assert r.read() == b"onetwo"
        c.request("HEAD", "/big?n=100")
        r = c.getresponse(); assert r.getheader("Content-Length") == "100" and r.read() == b""
        c.request("GET", "/x", headers={"Connection": "close"})
        r = c.getresponse(); r.read(); assert r.getheader("Connection") == "close"
        print("all well")
        """
      let result = try await detached { try run(["python3", "-c", script]) }
      #expect(result.output.contains("all well"), "\(result.output)")
    }
  }

  @Test func servesCurl() async throws {
    try await withServer(configure: { $0.maxBodyBytes = 4_000_000 }) { _, address in
      let file = NSTemporaryDirectory() + "kin-curl-\(UUID().uuidString)"
      try Data(repeating: 0x61, count: 3_000_000).write(to: URL(fileURLWithPath: file))
      defer { try? FileManager.default.removeItem(atPath: file) }
      let url = "http://\(address)/up"
      // curl asks for "100 Continue" by itself with a body of that size.
      let large = try await detached {
        try run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "-T", file, url])
      }
      #expect(large.output == "200 3000000")
      let chunked = try await detached {
        try run([
          "curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", "-H", "Transfer-Encoding: chunked", "-T", file,
          url,
        ])
      }
      #expect(chunked.output == "3000000")
      let old = try await detached { try run(["curl", "-sS", "-0", "-i", url, url]) }
      #expect(old.output.contains("HTTP/1.1 200 OK"))
    }
  }

  /// An independent WebSocket client in Python's standard library alone.
  @Test func servesAnotherWebSocketClient() async throws {
    try await withServer { _, address in
      let script = """
        import socket, os, base64, hashlib, struct
        s = socket.create_connection(("\(address.host)", \(address.port)), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        s.sendall(("GET /chat HTTP/1.1\\r\\nHost: x\\r\\nConnection: keep-alive, Upgrade\\r\\nUpgrade: WebSocket\\r\\n"
          "Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Protocol: a, kin.v1\\r\\nSec-WebSocket-Key: " + key + "\\r\\n\\r\\n").encode())
        f = s.makefile("rb")
        head = b""
        while not head.endswith(b"\\r\\n\\r\\n"): head += f.read(1)
        proof = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert head.startswith(b"HTTP/1.1 101 ") and ("Sec-WebSocket-Accept: " + proof).encode() in head, head
        def send(op, data):
            m = os.urandom(4); n = len(data)
            h = bytes([0x80 | op])
            if n < 126: h += bytes([0x80 | n])
            elif n < 65536: h += bytes([0x80 | 126]) + struct.pack(">H", n)
            else: h += bytes([0x80 | 127]) + struct.pack(">Q", n)
            s.sendall(h + m + bytes(b ^ m[i & 3] for i, b in enumerate(data)))
        def recv():
            a, n = f.read(2)
            if n == 126: n = struct.unpack(">H", f.read(2))[0]
            elif n == 127: n = struct.unpack(">Q", f.read(8))[0]
            return a, f.read(n)
        for n in (0, 5, 125, 126, 65535, 65536, 100000):
            d = os.urandom(n); send(2, d); assert recv() == (0x82, d), n
        send(1, "grüße".encode()); assert recv() == (0x81, "grüße".encode())
        send(9, b"hi"); assert recv() == (0x8a, b"hi")
        send(8, struct.pack(">H", 1000) + b"bye"); assert recv() == (0x88, struct.pack(">H", 1000))
        assert f.read() == b""
        print("all well")
        """
      let result = try await detached { try run(["python3", "-c", script]) }
      #expect(result.output.contains("all well"), "\(result.output)")
    }
  }
}
