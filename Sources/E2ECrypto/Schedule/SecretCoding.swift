import CryptoPrimitives
import WireCodec

/// Writes an encoding that holds secrets. They go from their own storage straight into the result's, so no copy is left
/// behind in a growing array.
struct SecretWriter {
  private var parts: [Secret] = []
  private var open = Writer()

  mutating func write(_ value: some WireCodable) { open.write(value) }
  mutating func writeVector(_ value: [UInt8]) { open.writeVector(value) }
  mutating func writeList<Element: WireCodable>(_ values: [Element]) { open.writeList(values) }
  mutating func write(_ value: Bool) { open.write(UInt8(value ? 1 : 0)) }
  mutating func writeCount(_ value: Int) { open.writeLength(value) }
  mutating func writePublic(_ body: (inout Writer) -> Void) { body(&open) }

  /// Appends `opaque x<V>` of a secret.
  mutating func write(_ secret: Secret) {
    open.writeLength(secret.count)
    parts.append(Secret(copying: open.bytes))
    parts.append(secret)
    open = Writer()
  }

  mutating func write(_ key: HPKEPrivateKey) { write(key.secret) }

  consuming func finish() -> Secret {
    parts.append(Secret(copying: open.bytes))
    return Secret(concatenating: parts)
  }
}

extension Reader {
  /// Reads `opaque x<V>` into a secret, without a copy in between.
  mutating func readSecret(max: Int) throws(WireError) -> Secret {
    try readNested(max: max) { (body) throws(WireError) in
      try Secret(count: body.remaining) { (buffer) throws(WireError) in
        for place in buffer.indices { buffer[place] = try body.readUInt8() }
      }
    }
  }

  mutating func readBool() throws(WireError) -> Bool {
    switch try readUInt8() {
    case 0: false
    case 1: true
    default: throw WireError(.invalidValue)
    }
  }

  /// Reads a number of entries that follow, each of at least one byte.
  mutating func readCount() throws(WireError) -> Int {
    let count = try readLength()
    guard count <= remaining else { throw WireError(.truncated) }
    return count
  }

  mutating func readPrivateKey(_ suite: Suite) throws(WireError) -> HPKEPrivateKey {
    let secret = try readSecret(max: Bounds.key)
    do { return try HPKEPrivateKey(kem: suite.kem, serialized: secret) } catch { throw WireError(.invalidValue) }
  }
}

extension Secret {
  /// Reads this secret's bytes, all of them. The copy that the reader needs is wiped.
  func decode<Value>(
    _ body: (inout Reader) throws(WireError) -> Value, onFailure: () -> MLSError = { MLSError(.malformed) }
  ) throws(MLSError) -> Value {
    var bytes = withBytes { Array($0) }
    defer { wipe(&bytes) }
    do {
      // The reader shares the array; it is gone, and the array unshared, before the wiping.
      var reader = Reader(bytes)
      let value = try body(&reader)
      try reader.finish()
      return value
    } catch { throw onFailure() }
  }
}

/// Overwrites an array that held a secret. Not inlined, so that no optimiser sees that nobody reads it afterwards.
@inline(never)
func wipe(_ bytes: inout [UInt8]) {
  bytes.withUnsafeMutableBytes { _ = $0.initializeMemory(as: UInt8.self, repeating: 0) }
}
