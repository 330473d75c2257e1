import Testing
import WireCodec

@Suite struct VarIntTests {
  @Test(arguments: [0, 1, 0x3e, 0x3f, 0x40, 0x41, 0x3ffe, 0x3fff, 0x4000, 0x4001, 0xffff, 0x3fff_ffff])
  func lengthComesBackInItsShortestForm(_ value: Int) throws {
    var writer = Writer()
    writer.writeLength(value)
    #expect(writer.bytes.count == (value <= 0x3f ? 1 : value <= 0x3fff ? 2 : 4))
    var reader = Reader(writer.bytes)
    #expect(try reader.readLength() == value)
    #expect(reader.isAtEnd)
  }

  @Test(
    arguments: [
      ([0x40, 0x00], WireError.Code.nonMinimalLength), ([0x40, 0x3f], .nonMinimalLength),
      ([0x80, 0x00, 0x00, 0x00], .nonMinimalLength), ([0x80, 0x00, 0x3f, 0xff], .nonMinimalLength),
      ([0xc0], .invalidLength), ([0xff, 0xff, 0xff, 0xff], .invalidLength), ([], .truncated), ([0x40], .truncated),
      ([0x80, 0x01, 0x00], .truncated),
    ] as [([UInt8], WireError.Code)])
  func refuses(_ bytes: [UInt8], _ code: WireError.Code) {
    var reader = Reader(bytes)
    #expect(throws: WireError(code)) { try reader.readLength() }
  }

  @Test func everyTwoByteLength() throws {
    // RFC 9420 section 2.1.2 for all of 0...65535 as the first two bytes.
    for first in UInt8.min...0x7f {
      for second in UInt8.min...UInt8.max {
        var reader = Reader([first, second])
        let length = try? reader.readLength()
        let value = Int(first & 0x3f) << 8 | Int(second)
        #expect(length == (first < 0x40 ? Int(first) : value > 0x3f ? value : nil))
      }
    }
  }
}
