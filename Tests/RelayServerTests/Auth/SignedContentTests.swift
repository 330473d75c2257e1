import CryptoPrimitives
import Foundation
import Networking
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer

/// What the relay puts its signature to (docs/threat-model.md, class 53): tokens, which say who holds a session, and
/// nothing that anybody chose but the 128 bits of their own ids.
struct SignedContentTests {
  private static let hostile = #"x","sub":"00000000-0000-0001-0000-000000000002","a":"\"#

  @Test func tokensHoldNothingThatSomebodyWrote() async throws {
    try await RelayFixture.run { fixture in
      let key = SigningKey.generate()
      var list = try Person.newList(accountKey: key).list
      list.devices[0].name = String(Self.hostile.prefix(60))
      let signed = try Person.sign(list, key)
      let email = #"a"b{}:\,@x.example"#
      let response = try await fixture.call(
        .register, nil,
        RegisterRequest(
          username: "a-._b", password: Self.hostile, email: email, phone: "+4412345678",
          profile: ProfileBody(displayName: #"","aud":"x"#, avatarURL: ""), deviceList: signed.encoded))
      let session: SessionResponse = try response.decoded()
      let login = try await fixture.call(
        .logIn, nil, LoginRequest(login: email, password: Self.hostile, device: session.device))
      let again: SessionResponse = try login.decoded()
      let fresh: SessionResponse = try await fixture.call(
        .refresh, nil, RefreshRequest(refreshToken: again.refreshToken)
      ).decoded()
      for token in [session, again, fresh].map(\.accessToken) {
        let parts = token.split(separator: ".")
        try #require(parts.count == 3)
        let header = try #require(Base64URL(text: parts[0])).bytes
        let claims = try #require(Base64URL(text: parts[1])).bytes
        let (head, body) = (try #require(FlatJSON(header)), try #require(FlatJSON(claims)))
        #expect(Set(head.values.keys) == ["alg", "typ", "kid"])
        #expect(
          Set(body.values.keys) == [
            "iss", "aud", "sub", "device", "sid", "client_id", "jti", "iat", "nbf", "exp",
          ])
        #expect(body.text("sub") == "\(session.user)" && body.text("device") == "\(session.device)")
        #expect(body.text("sub").flatMap { UserID($0) } == list.user)
        let text = String(decoding: header + claims, as: UTF8.self)
        for piece in ["x.example", "a-._b", "4412345678", "laptop"] {
          #expect(!text.contains(piece), "\(piece)")
        }
      }
    }
  }

  /// One place signs, and it writes every byte of what it signs.
  @Test func onePlaceSigns() throws {
    var found: [String] = []
    for folder in ["Sources/RelayServer", "Sources/relay-server", "Sources/RelayProtocol"] {
      let url = Peer.root.appending(path: folder)
      for path in try FileManager.default.subpathsOfDirectory(atPath: url.path) where path.hasSuffix(".swift") {
        let text = try String(contentsOf: url.appending(path: path), encoding: .utf8)
        found += Array(repeating: path, count: text.components(separatedBy: ".sign(").count - 1)
      }
    }
    #expect(found == ["Auth/AccessToken.swift"])
  }
}
