import WireCodec

/// A value sealed to an HPKE public key (RFC 9420 section 7.6).
struct HPKECiphertext: Hashable, Sendable, WireCodable {
  let kemOutput: [UInt8]
  let ciphertext: [UInt8]

  init(kemOutput: [UInt8], ciphertext: [UInt8]) {
    self.kemOutput = kemOutput
    self.ciphertext = ciphertext
  }

  init(from reader: inout Reader) throws(WireError) {
    kemOutput = try reader.readVector(max: Bounds.key)
    ciphertext = try reader.readVector(max: Bounds.message)
  }

  func encode(into writer: inout Writer) {
    writer.writeVector(kemOutput)
    writer.writeVector(ciphertext)
  }
}
