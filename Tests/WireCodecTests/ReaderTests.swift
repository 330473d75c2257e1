import Testing
import WireCodec

@Suite struct ReaderTests {
  private struct Empty: WireCodable {
    init(from reader: inout Reader) throws(WireError) {}
    func encode(into writer: inout Writer) {}
  }

  @Test func integersAreBigEndian() throws {
    var writer = Writer()
    writer.write(UInt8(1))
    writer.write(UInt16(0x0203))
    writer.write(UInt32(0x0405_0607))
    writer.write(UInt64(0x0809_0a0b_0c0d_0e0f))
    #expect(writer.bytes == Array(1...15))
    var reader = Reader(writer.bytes)
    #expect(try reader.readUInt8() == 1)
    #expect(try reader.readUInt16() == 0x0203)
    #expect(try reader.readUInt32() == 0x0405_0607)
    #expect(try reader.readUInt64() == 0x0809_0a0b_0c0d_0e0f)
    try reader.finish()
  }

  @Test func listsAndOptionalsComeBack() throws {
    var writer = Writer()
    writer.writeList([1, 2, 0xffff] as [UInt16])
    writer.writeOptional(UInt8(9))
    writer.writeOptional(UInt8?.none)
    writer.writeVector([UInt8](repeating: 7, count: 100))
    var reader = Reader(writer.bytes)
    #expect(try reader.readList(of: UInt16.self) == [1, 2, 0xffff])
    #expect(try reader.readOptional(of: UInt8.self) == 9)
    #expect(try reader.readOptional(of: UInt8.self) == nil)
    #expect(try reader.readVector() == [UInt8](repeating: 7, count: 100))
    try reader.finish()
  }

  @Test func aLengthBeyondTheInputIsFoundBeforeAllocation() {
    var reader = Reader([0xbf, 0xff, 0xff, 0xff, 1])
    #expect(throws: WireError(.truncated)) { try reader.readVector() }
    var bounded = Reader([0x05, 1, 2, 3, 4, 5])
    #expect(throws: WireError(.tooLong)) { try bounded.readVector(max: 4) }
  }

  @Test func leftoversAreRefused() {
    #expect(throws: WireError(.leftover)) { try UInt16(decoding: [1, 2, 3]) }
    var reader = Reader([0x03, 1, 2, 3])
    #expect(throws: WireError(.leftover)) {
      try reader.readNested { (body) throws(WireError) in try body.readUInt16() }
    }
    var odd = Reader([0x03, 1, 2, 3])
    #expect(throws: WireError(.truncated)) { try odd.readList(of: UInt16.self) }
  }

  @Test func optionalsAndEmptyElementsAreStrict() {
    var optional = Reader([2, 0])
    #expect(throws: WireError(.invalidValue)) { try optional.readOptional(of: UInt8.self) }
    var empty = Reader([1, 0])
    #expect(throws: WireError(.invalidValue)) { try empty.readList(of: Empty.self) }
  }

  @Test func aNestedReaderCannotReadPastItsBody() {
    var reader = Reader([0x01, 9, 9, 9, 9])
    #expect(throws: WireError(.truncated)) {
      try reader.readNested { (body) throws(WireError) in try body.readUInt32() }
    }
  }
}
