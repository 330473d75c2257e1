@testable import Networking

extension Target {
  /// The machine that reads HTTP/1.1, as server and as client: it says the same however the bytes are cut, and a request
  /// that it accepts means the same once written anew.
  static let http1 = Target(
    name: "http1",
    run: { input in
      guard let first = input.first else { return }
      let bytes = Array(input.dropFirst())
      let role: HTTP1Machine.Role = first & 1 == 0 ? .server : .client
      let options = (toHead: first & 2 != 0, closes: first & 4 != 0)
      var limits = HTTP1Machine.Limits()
      if first & 8 != 0 {
        limits.headBytes = 256
        limits.lineBytes = 64
        limits.headers = 4
        limits.bodyBytes = 64
        limits.interimResponses = 1
      }
      let whole = heard(role, bytes, piece: max(1, bytes.count), limits, options)
      for piece in [1, 2 + Int(first >> 4)] {
        let cut = heard(role, bytes, piece: piece, limits, options)
        require(cut == whole, "in pieces of \(piece) it is \(cut) and not \(whole)")
      }
      if let text = String(validating: bytes, as: UTF8.self), let url = try? WebURL(text) {
        let again = try? WebURL(url.description)
        require(again == url, "the URL \(url) is another once written")
      }
    },
    seeds: {
      let requests = [
        "GET /v1/rooms/a%20b?after=1&wait=2+3 HTTP/1.1\r\nHost: relay.example\r\nConnection: keep-alive\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
          + "4\r\nwiki\r\n5;x=\"y\"\r\npedia\r\n00\r\nA: b\r\n\r\n",
        "\r\nOPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET http://h:8/p?q HTTP/1.0\r\nHost: x\r\n\r\n",
        "GET /v1/socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: kin.v1, other\r\n\r\n",
      ]
      let responses = [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nuntil the end",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
      ]
      return requests.enumerated().map { Seed(name: "request-\($0)", bytes: [0] + Array($1.utf8)) }
        + responses.enumerated().map { Seed(name: "response-\($0)", bytes: [5] + Array($1.utf8)) }
        + ["https://relay.example:8443/base/?a=b", "ws://[::1]:80"].enumerated().map {
          Seed(name: "url-\($0)", bytes: [0] + Array($1.utf8))
        }
    })

  /// The machine that reads WebSocket frames, in both roles; what it reads is read again once written.
  static let websocket = Target(
    name: "websocket",
    run: { input in
      guard let first = input.first else { return }
      let bytes = Array(input.dropFirst())
      let role: WebSocketMachine.Role = first & 1 == 0 ? .server : .client
      let most = first & 2 == 0 ? 1 << 20 : 100
      let whole = listen(role, bytes, piece: max(1, bytes.count), most)
      for piece in [1, 2 + Int(first >> 4)] {
        let cut = listen(role, bytes, piece: piece, most)
        require(cut.events == whole.events && cut.fault == whole.fault, "in pieces of \(piece) it says something else")
      }
      var written: [UInt8] = []
      for event in whole.events {
        written += encode(event, mask: role == .server ? 0x8765_4321 : nil)
        let size = size(of: event)
        require(size <= most || size <= 125, "a message of \(size) bytes where \(most) are allowed")
      }
      let again = listen(role, written, piece: max(1, written.count), most)
      require(again.events == whole.events && again.fault == nil, "what was read reads differently once written")
    },
    seeds: {
      func frames(mask: UInt32?) -> [UInt8] {
        WebSocketFrame.encode(.text, Array("Hé".utf8), mask: mask)
          + WebSocketFrame.encode(.binary, [1, 2, 3], isFinal: false, mask: mask)
          + WebSocketFrame.encode(.ping, [9], mask: mask)
          + WebSocketFrame.encode(.continuation, [UInt8](repeating: 4, count: 130), mask: mask)
          + WebSocketFrame.encode(.pong, [], mask: mask)
          + WebSocketFrame.encode(.close, WebSocketFrame.closePayload(.normal, reason: "bye"), mask: mask)
      }
      let long = WebSocketFrame.encode(.binary, [UInt8](repeating: 1, count: 1 << 16), mask: nil)
      return [
        Seed(name: "server", bytes: [0] + frames(mask: 0x1234_5678)),
        Seed(name: "client", bytes: [1] + frames(mask: nil)),
        Seed(name: "small", bytes: [3] + frames(mask: nil)), Seed(name: "long", bytes: [1] + long.prefix(300)),
      ]
    })
}

/// What a machine makes of bytes that come in pieces, as text that can be compared.
private func heard(
  _ role: HTTP1Machine.Role, _ bytes: [UInt8], piece: Int, _ limits: HTTP1Machine.Limits,
  _ options: (toHead: Bool, closes: Bool)
) -> [String] {
  var machine = HTTP1Machine(role: role, limits: limits)
  machine.startNext(toHead: options.toHead)
  var events: [String] = []
  func tell(_ event: HTTP1Machine.Event) {
    switch event {
    case .request(let head):
      events.append("\(head.method) \(head.path) \(head.query ?? "-") \(head.framing) \(head.headers.fields)")
      check(head)
    case .response(let head): events.append("\(head.status) \(head.framing) \(head.headers.fields)")
    case .end:
      let body = machine.takeBody()
      require(body.count <= limits.bodyBytes, "a body of \(body.count) bytes")
      events.append("\(body)")
      machine.startNext(toHead: options.toHead)
    }
  }
  do throws(NetworkError) {
    for start in stride(from: 0, to: bytes.count, by: piece) {
      let part = Array(bytes[start..<min(bytes.count, start + piece)])
      var offset = 0
      while let event = try machine.next(part.span.bytes, &offset) { tell(event) }
      require(offset == part.count, "\(part.count - offset) bytes are left")
    }
    if options.closes, let event = try machine.inputEnded() { tell(event) }
  } catch {
    events.append("\(error.code) \(error.status ?? 0)")
  }
  return events
}

/// A head that was accepted is safe to act on: its parts hold nothing that would be read otherwise further on.
private func check(_ head: HTTPRequestHead) {
  require(head.path == "*" || head.path.hasPrefix("/"), "the path \(head.path)")
  for text in [head.path, head.query ?? ""] {
    require(text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }, "the target holds a control or blank")
  }
  for field in head.headers.fields {
    require(HTTP1Writer.isValid(field.name, field.value), "a field that cannot be written: \(field)")
  }
  if let segments = try? PercentCoding.segments(head.path) {
    require(!segments.contains("..") && !segments.contains("."), "a dot segment")
  }
  _ = try? PercentCoding.query(head.query)
  if WebSocketHandshake.isUpgrade(head), let key = try? WebSocketHandshake.key(of: head) {
    require(WebSocketHandshake.accept(key).utf8.count == 28, "an answer of the wrong length")
    _ = WebSocketHandshake.offeredSubprotocols(head.headers)
  }
}

private func listen(
  _ role: WebSocketMachine.Role, _ bytes: [UInt8], piece: Int, _ most: Int
) -> (events: [WebSocketMachine.Event], fault: WebSocketFault?) {
  var machine = WebSocketMachine(role: role, maxMessageBytes: most)
  var events: [WebSocketMachine.Event] = []
  do throws(WebSocketFault) {
    for start in stride(from: 0, to: bytes.count, by: piece) {
      let part = Array(bytes[start..<min(bytes.count, start + piece)])
      var offset = 0
      while let event = try machine.next(part.span.bytes, &offset) {
        events.append(event)
        if case .binary(let payload) = event { machine.recycle(payload) }
      }
    }
  } catch { return (events, error) }
  return (events, nil)
}

private func size(of event: WebSocketMachine.Event) -> Int {
  switch event {
  case .binary(let payload), .ping(let payload), .pong(let payload): payload.count
  case .text(let text): text.utf8.count
  case .close(_, let reason): reason.utf8.count + 2
  }
}

private func encode(_ event: WebSocketMachine.Event, mask: UInt32?) -> [UInt8] {
  switch event {
  case .binary(let payload): WebSocketFrame.encode(.binary, payload, mask: mask)
  case .text(let text): WebSocketFrame.encode(.text, Array(text.utf8), mask: mask)
  case .ping(let payload): WebSocketFrame.encode(.ping, payload, mask: mask)
  case .pong(let payload): WebSocketFrame.encode(.pong, payload, mask: mask)
  case .close(.noStatus, _): WebSocketFrame.encode(.close, [], mask: mask)
  case .close(let code, let reason):
    WebSocketFrame.encode(.close, WebSocketFrame.closePayload(code, reason: reason), mask: mask)
  }
}
