/// Bytes that are encoded once and then belong to every connection that is to receive them.
///
/// Small ones are copied into a connection's outgoing buffer (17 ns for 200 bytes, against 36 for a retain); big ones are
/// kept by reference.
package struct SharedBytes: Sendable {
  /// Memory that does not move, as the kernel needs it for a write that ends later.
  final class Storage: @unchecked Sendable {
    // Written before anybody shares it, never after: that is what makes it sendable.
    let memory: UnsafeRawBufferPointer

    init(_ bytes: [UInt8]) {
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
      memory.copyBytes(from: bytes)
      self.memory = UnsafeRawBufferPointer(memory)
    }

    deinit { memory.deallocate() }
  }

  let storage: Storage

  package init(_ bytes: [UInt8]) { storage = Storage(bytes) }

  package var count: Int { storage.memory.count }

  package var bytes: [UInt8] { Array(storage.memory) }
}

extension RawSpan {
  /// The byte at that offset; bounds are checked.
  @inline(__always)
  func byte(_ offset: Int) -> UInt8 { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

  func array(_ range: Range<Int>) -> [UInt8] { extracting(range).withUnsafeBytes { Array($0) } }
}
