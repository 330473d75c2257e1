import Content
import Foundation
import Testing

@Suite struct CBORTests {
  private struct Vector: Decodable {
    var hex: String
    var roundtrip: Bool
  }

  @Test func appendixAOfRFC8949() throws {
    guard let data = try VectorFolder.data("cbor/appendix_a.json") else { return }
    let vectors = try JSONDecoder().decode([Vector].self, from: data)
    #expect(vectors.count > 70)
    for vector in vectors {
      let input = bytes(hex: vector.hex)
      // The list is older than RFC 8949, whose section 3.3 forbids simple values below 32 in two bytes.
      if vector.roundtrip && vector.hex != "f818" {
        #expect(try CBOR(decoding: input).encoded == input, "\(vector.hex)")
      } else {
        // What does not come back byte for byte is not deterministic, and is refused.
        #expect(throws: ContentError.self, "\(vector.hex)") { try CBOR(decoding: input) }
      }
    }
  }

  @Test(arguments: [
    ("1817", ContentError.Code.notDeterministic), ("190017", .notDeterministic), ("1a00000017", .notDeterministic),
    ("1b0000000000000017", .notDeterministic), ("9fff", .notDeterministic),
    ("a201600160", .notDeterministic), ("a202600160", .notDeterministic), ("fb3ff0000000000000", .notDeterministic),
    ("fa3f800000", .notDeterministic), ("f97e01", .notDeterministic), ("5bffffffffffffffff", .truncated),
    ("9bffffffffffffffff", .truncated), ("bbffffffffffffffff", .truncated), ("61ff", .malformed), ("f801", .malformed),
    ("1c", .malformed), ("0000", .leftover), ("", .truncated),
  ])
  func refuses(_ hex: String, _ code: ContentError.Code) {
    #expect(throws: ContentError(code)) { try CBOR(decoding: bytes(hex: hex)) }
  }

  @Test func nestingIsBounded() {
    let deep = [UInt8](repeating: 0x81, count: 100_000) + [0]
    #expect(throws: ContentError(.tooDeep)) { try CBOR(decoding: deep) }
  }

  @Test func mapsAreSortedByEncodedKey() throws {
    let map = CBOR.map([.init(.text("a"), .null), .init(.unsigned(1), .null), .init(.negative(0), .null)])
    #expect(map.encoded == [0xa3, 0x01, 0xf6, 0x20, 0xf6, 0x61, 0x61, 0xf6])
    #expect(try CBOR(decoding: map.encoded).encoded == map.encoded)
  }

  @Test func everyShortInputIsReadOrRefused() throws {
    // All inputs of one and two bytes, and whatever is accepted has this one encoding.
    for first in UInt8.min...UInt8.max {
      check([first])
      for second in UInt8.min...UInt8.max { check([first, second]) }
    }
    func check(_ input: [UInt8]) {
      guard let item = try? CBOR(decoding: input) else { return }
      #expect(item.encoded == input)
    }
  }
}
