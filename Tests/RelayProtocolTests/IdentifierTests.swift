import RelayProtocol
import Testing

@Suite struct IdentifierTests {
  @Test func textAndBytesComeBack() throws {
    let bytes = [UInt8](0..<16)
    let room = try #require(RoomID(bytes: bytes))
    #expect(room.description == "00010203-0405-0607-0809-0a0b0c0d0e0f")
    #expect(RoomID(room.description) == room)
    #expect(RoomID("000102030405060708090a0b0c0d0e0f") == room)
    #expect(room.bytes == bytes)
  }

  @Test(arguments: [
    "", "0", "00010203-0405-0607-0809-0a0b0c0d0e0", "0001020-30405-0607-0809-0a0b0c0d0e0f",
    "00010203-0405-0607-0809-0A0B0C0D0E0F", "00010203040506070809-0a0b0c0d0e0f", "../../../etc/passwd",
    "000102030405060708090a0b0c0d0e0f00",
  ])
  func refuses(_ text: String) { #expect(RoomID(text) == nil) }

  @Test func wrongCountsAreRefused() {
    #expect(UserID(bytes: [UInt8](repeating: 0, count: 15)) == nil)
    #expect(UserID(bytes: [UInt8](repeating: 0, count: 17)) == nil)
  }
}

@Suite struct Base64URLTests {
  @Test func everyLengthComesBack() {
    for count in 0...70 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 251) }
      let text = Base64URL(bytes).text
      #expect(!text.contains("=") && !text.contains("+") && !text.contains("/"))
      #expect(Base64URL(text: text)?.bytes == bytes)
    }
  }

  @Test(arguments: ["A", "AB", "AAAAA", "QQ==", "Q Q", "QR", "+/+/", "Zm9=", "Z\n9v"])
  func refuses(_ text: String) { #expect(Base64URL(text: text) == nil) }

  @Test func knownAnswer() {
    #expect(Base64URL([0xfb, 0xff, 0xfe]).text == "-__-")
    #expect(Base64URL(Array("foobar".utf8)).text == "Zm9vYmFy")
  }
}
