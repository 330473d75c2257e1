/// Bytes that are encoded once and then belong to every connection that is to receive them.
///
/// A connection that has nothing else to send in this turn keeps a reference and hands the kernel this very memory.
package struct SharedBytes: Sendable {
  /// Memory that does not move, as the kernel needs it for a write that ends later.
  final class Storage: @unchecked Sendable {
    // Written before anybody shares it, never after: that is what makes it sendable.
    let memory: UnsafeRawBufferPointer

    /// - Parameter fill: writes every byte.
    init(count: Int, fill: (UnsafeMutableRawBufferPointer) -> Void) {
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
      fill(memory)
      self.memory = UnsafeRawBufferPointer(memory)
    }

    deinit { memory.deallocate() }
  }

  let storage: Storage

  package init(_ bytes: [UInt8]) {
    storage = Storage(count: bytes.count) { $0.copyBytes(from: bytes) }
  }

  init(count: Int, fill: (UnsafeMutableRawBufferPointer) -> Void) { storage = Storage(count: count, fill: fill) }

  /// The parts behind one another, copied into one piece.
  package init(joining parts: some Collection<SharedBytes>) {
    storage = Storage(count: parts.reduce(0) { $0 + $1.count }) { memory in
      var rest = memory[...]
      for part in parts {
        UnsafeMutableRawBufferPointer(rebasing: rest).copyMemory(from: part.storage.memory)
        rest = rest.dropFirst(part.count)
      }
    }
  }

  package var count: Int { storage.memory.count }

  package var bytes: [UInt8] { Array(storage.memory) }
}

extension RawSpan {
  /// The byte at that offset; bounds are checked.
  @inline(__always)
  func byte(_ offset: Int) -> UInt8 { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

  func array(_ range: Range<Int>) -> [UInt8] { extracting(range).withUnsafeBytes { Array($0) } }
}
