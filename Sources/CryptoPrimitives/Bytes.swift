/// `withUnsafeBytes` that keeps the error's type, wherever the standard library's own does not.
@inline(__always)
func withBytes<Result>(
  of bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(CryptoError) -> Result
) throws(CryptoError) -> Result {
  let outcome = bytes.withUnsafeBytes { pointer in
    Swift.Result { () throws(CryptoError) -> Result in try body(pointer) }
  }
  return try outcome.get()
}

/// `withUnsafeMutableBytes` that keeps the error's type.
@inline(__always)
func withMutableBytes<Result>(
  of bytes: inout [UInt8], _ body: (UnsafeMutableRawBufferPointer) throws(CryptoError) -> Result
) throws(CryptoError) -> Result {
  let outcome = bytes.withUnsafeMutableBytes { pointer in
    Swift.Result { () throws(CryptoError) -> Result in try body(pointer) }
  }
  return try outcome.get()
}

/// An array of `count` bytes that `fill` writes, all of them, without their being zeroed before.
@inline(__always)
func filled(
  _ count: Int, _ fill: (UnsafeMutablePointer<UInt8>) throws(CryptoError) -> Void
) throws(CryptoError) -> [UInt8] {
  var failure: CryptoError?
  let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
    do throws(CryptoError) {
      try fill(UnsafeMutableRawBufferPointer(buffer).octets)
      initialised = count
    } catch { failure = error }
  }
  if let failure { throw failure }
  return bytes
}

/// An address to hand to C for no bytes at all, where the libraries declare their pointers as never null.
///
/// Nothing is read or written there.
private struct Nowhere: @unchecked Sendable {
  static let shared = Nowhere()
  let address = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)
}

extension UnsafeRawBufferPointer {
  /// The address as C wants it.
  var octets: UnsafePointer<UInt8> {
    (baseAddress ?? UnsafeRawPointer(Nowhere.shared.address)).assumingMemoryBound(to: UInt8.self)
  }

  /// The address as C wants text.
  var characters: UnsafePointer<CChar> {
    (baseAddress ?? UnsafeRawPointer(Nowhere.shared.address)).assumingMemoryBound(to: CChar.self)
  }
}

extension UnsafeMutableRawBufferPointer {
  /// The address as C wants it.
  var octets: UnsafeMutablePointer<UInt8> {
    (baseAddress ?? Nowhere.shared.address).assumingMemoryBound(to: UInt8.self)
  }
}
