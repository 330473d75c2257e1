import Content
import Testing

@Suite struct PaddingTests {
  @Test func neverShorterAndAtMostAnEighthLonger() {
    for count in 0...70_000 {
      let padded = Padding.length(for: count)
      #expect(padded >= count && padded >= Padding.least)
      if count > Padding.least { #expect(padded - count <= count / 8) }
      // A bucket's own length is its own bucket.
      #expect(Padding.length(for: padded) == padded)
    }
  }

  @Test func fewBuckets() {
    #expect(Set((1...65_536).map(Padding.length(for:))).count < 130)
  }

  @Test func hugeLengthsDoNotOverflow() {
    #expect(Padding.length(for: Int.max) == Int.max)
  }
}
