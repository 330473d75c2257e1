import CryptoPrimitives
import RelayProtocol
import WireCodec

@testable import RelayServer

extension Target {
  /// What client and relay say on the socket, device lists, and the text forms of identifiers and bytes.
  static let frames = Target(
    name: "frames",
    run: { input in
      guard let first = input.first else { return }
      let bytes = Array(input.dropFirst())
      switch first % 5 {
      case 0: again(ClientFrame.self, bytes)
      case 1: again(RelayFrame.self, bytes)
      case 2: again(SignedDeviceList.self, bytes)
      case 4: again(BusMessage.self, bytes)
      default:
        guard let text = String(validating: bytes, as: UTF8.self) else { return }
        if let code = JoinCode.normalised(text) {
          require(
            JoinCode.normalised(code) == code && code.utf8.count == JoinCode.length, "a code is another once read")
        }
        if let value = Base64URL(text: text) { require(value.text == text, "bytes have two texts in base64url") }
        if let id = UserID(text) {
          require(UserID(id.description) == id, "an identifier is another once written")
          require(id.description.filter { $0 != "-" } == text.filter { $0 != "-" }, "an identifier has two texts")
        }
      }
    },
    seeds: {
      let room = RoomID(high: 1, low: 2)
      let position = StreamPosition(incarnation: 3, sequence: 4)
      let client: [ClientFrame] = [
        .authenticate(token: "a.b.c"), .follow(requestID: 1, cursors: [RoomCursor(room: room, position: position)]),
        .send(
          requestID: 2, room: room, SendRequest(sendID: SendID(high: 5, low: 6), epoch: 7, message: [1, 2, 3])),
      ]
      let relay: [RelayFrame] = [
        .ready(device: DeviceID(high: 1, low: 2), time: 3),
        .following(requestID: 1, [FollowStatus(room: room, outcome: .live, last: position, epoch: 5)]),
        .sent(requestID: 2, SendResponse(position: position, time: 6)),
        .refused(requestID: 3, code: 4, retryAfterMilliseconds: 5),
        .entry(LogEntry(room: room, sequence: 1, kind: .commit, epoch: 2, time: 3, message: [4, 5])),
        .behind(room: room, last: position), .look(.welcomes), .look(.contacts), .profile(UserID(high: 1, low: 2)),
        .presence(PresenceNews(user: UserID(high: 1, low: 2), status: .away, lastSeen: 60_000)),
      ]
      let list = SignedDeviceList(
        list: DeviceList(
          user: UserID(high: 1, low: 2), accountKey: [UInt8](repeating: 3, count: 32), number: 2,
          previous: [UInt8](repeating: 4, count: 32), issued: 5,
          devices: [
            DeviceEntry(
              device: DeviceID(high: 6, low: 7), signatureKey: [UInt8](repeating: 8, count: 32), name: "lap", added: 9)
          ]), signature: [UInt8](repeating: 10, count: 64))
      return client.enumerated().map { Seed(name: "client-\($0)", bytes: [0] + $1.encoded) }
        + relay.enumerated().map { Seed(name: "relay-\($0)", bytes: [1] + $1.encoded) }
        + [
          Seed(name: "devices", bytes: [2] + list.encoded),
          Seed(
            name: "bus",
            bytes: [4]
              + BusMessage(
                node: 1,
                items: [.grown(room, last: 2), .look(.rooms, DeviceID(high: 3, low: 4)), .session(5), .everything]
              ).encoded),
          Seed(name: "code", bytes: [3] + Array("abc-234".utf8)),
          Seed(name: "base64url", bytes: [3] + Array("AQID_-0".utf8)),
          Seed(name: "identifier", bytes: [3] + Array(UserID(high: 0x1234, low: 5).description.utf8)),
        ]
    })

  /// Access tokens: the strict JSON, and the check of a token whose header and claims the relay's own key has signed, so
  /// that what stands behind the signature is reached.
  static let token = Target(
    name: "token",
    run: { input in
      guard let first = input.first else { return }
      let bytes = Array(input.dropFirst())
      switch first % 3 {
      case 0:
        guard let json = FlatJSON(bytes) else { return }
        // Nothing was skipped: each name and each value stands in the input as it is.
        let text = String(decoding: bytes, as: UTF8.self)
        for (name, value) in json.values {
          require(text.contains("\"\(name)\""), "a name out of nowhere")
          switch value {
          case .text(let value): require(text.contains("\"\(value)\""), "a text out of nowhere")
          case .number(let value): require(text.contains("\(value)"), "a number out of nowhere")
          }
        }
      case 1:
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? tokens.check(text, now: clock)
        if let refresh = RefreshToken(text: text) { require(refresh.text == text, "a refresh token has two texts") }
      default:
        // Header, a null byte, claims.
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return }
        let text = signed(Array(parts[0]), Array(parts[1]))
        guard let caller = try? tokens.check(text, now: clock) else { return }
        require(caller.expires > clock - 6000, "an expired token was accepted")
        require(FlatJSON(Array(parts[0]))?.text("alg") == "EdDSA", "another algorithm was accepted")
        require(FlatJSON(Array(parts[1]))?.text("aud") == "relay", "another audience was accepted")
      }
    },
    seeds: {
      let caller = Caller(
        user: UserID(high: 1, low: 2), device: DeviceID(high: 3, low: 4), session: 5, expires: clock + 600_000)
      let header = Array(#"{"alg":"EdDSA","typ":"at+jwt","kid":"\#(tokens.ring.keys.signingID)"}"#.utf8)
      let claims = Array(
        """
        {"iss":"relay","aud":"relay","sub":"\(caller.user)","device":"\(caller.device)","sid":"5","client_id":"kin",\
        "jti":"AQID","iat":\(clock / 1000),"nbf":\(clock / 1000),"exp":\(clock / 1000 + 600)}
        """.utf8)
      let refresh = Base64URL([UInt8](repeating: 9, count: 40)).text
      return [
        Seed(name: "header", bytes: [0] + header), Seed(name: "claims", bytes: [0] + claims),
        Seed(name: "token", bytes: [1] + Array(signed(header, claims).utf8)),
        Seed(name: "refresh", bytes: [1] + Array(refresh.utf8)),
        Seed(name: "signed", bytes: [2] + header + [0] + claims),
      ]
    })
}

private func again<Value: WireCodable>(_ type: Value.Type, _ bytes: [UInt8]) {
  guard let value = try? Value(decoding: bytes) else { return }
  require(value.encoded == bytes, "\(type) has two encodings")
}

private let clock: UInt64 = 1_800_000_000_000

private let tokens: AccessTokens = {
  guard let key = try? SigningKey(seed: Secret(copying: [UInt8](repeating: 7, count: 32))) else { found("no key") }
  return AccessTokens(keys: TokenKeys(signing: key), issuer: "relay", audience: "relay")
}()

/// A token that the relay's own key has signed, whatever it says.
private func signed(_ header: [UInt8], _ claims: [UInt8]) -> String {
  let text = Base64URL(header).text + "." + Base64URL(claims).text
  guard let signature = try? tokens.ring.keys.signing.sign(Array(text.utf8)) else { found("no signature") }
  return text + "." + Base64URL(signature).text
}
