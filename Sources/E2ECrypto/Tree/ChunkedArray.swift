/// An array whose copies share all chunks but those that are written to.
///
/// A pending commit is a changed copy of the group's tree. With one flat array, each commit would copy the whole tree for
/// the sake of one path; here a copy costs one reference for each 64 elements, and a write the 64 elements around it.
struct ChunkedArray<Element: Sendable>: Sendable {
  private static var shift: Int { 6 }
  private static var chunkSize: Int { 1 << shift }

  /// All but the last are full.
  private var chunks: [[Element]] = []
  private(set) var count = 0

  init() {}

  init(_ elements: some Sequence<Element>) {
    for element in elements { append(element) }
  }

  init(repeating element: Element, count: Int) {
    grow(to: count, with: element)
  }

  mutating func append(_ element: Element) {
    if count & (Self.chunkSize - 1) == 0 {
      chunks.append([element])
    } else {
      chunks[chunks.count - 1].append(element)
    }
    count += 1
  }

  /// Appends `element` until there are so many.
  mutating func grow(to newCount: Int, with element: Element) {
    while count < newCount {
      let offset = count & (Self.chunkSize - 1)
      let added = Swift.min(Self.chunkSize - offset, newCount - count)
      if offset == 0 {
        chunks.append(Array(repeating: element, count: added))
      } else {
        chunks[chunks.count - 1].append(contentsOf: repeatElement(element, count: added))
      }
      count += added
    }
  }

  /// Drops all after the first so many.
  mutating func shrink(to newCount: Int) {
    guard newCount < count else { return }
    let kept = (newCount + Self.chunkSize - 1) >> Self.shift
    chunks.removeLast(chunks.count - kept)
    let rest = newCount & (Self.chunkSize - 1)
    if rest > 0 { chunks[kept - 1].removeLast(chunks[kept - 1].count - rest) }
    count = newCount
  }
}

extension ChunkedArray: RandomAccessCollection, MutableCollection {
  var startIndex: Int { 0 }
  var endIndex: Int { count }

  subscript(position: Int) -> Element {
    get { chunks[position >> Self.shift][position & (Self.chunkSize - 1)] }
    _modify { yield &chunks[position >> Self.shift][position & (Self.chunkSize - 1)] }
  }
}
