/// LabeledExtract and LabeledExpand of RFC 9180 section 4: HKDF bound to the protocol, the suite and a label.
struct LabelledKDF: Sendable {
  let hash: HashAlgorithm
  let suite: SuiteID

  private static let version: StaticString = "HPKE-v1"

  func extract(salt: Secret, label: StaticString, inputKey: Secret) -> Secret {
    inputKey.withBytes { extract(salt: salt, label: label, inputKey: $0) }
  }

  func extract(salt: Secret, label: StaticString, inputKey: UnsafeRawBufferPointer) -> Secret {
    salt.withBytes { salt in
      KDF.extract(hash, salt: salt) { keyed in
        keyed.update(Self.version)
        suite.withBytes { keyed.update($0) }
        keyed.update(label)
        keyed.update(inputKey)
      }
    }
  }

  /// - Throws: `invalidLength` if `length` is negative or over 255 hashes.
  func expand(_ key: Secret, label: StaticString, info: [UInt8], length: Int) throws(CryptoError) -> Secret {
    try KDF.check(length, hash)
    return key.withBytes { key in
      KeyedHash.with(hash, key: key) { expand($0, label: label, info: info, length: length) }
    }
  }

  /// Expands to a length within the bounds, from a key that was taken in before.
  func expand(_ keyed: KeyedHash, label: StaticString, info: [UInt8], length: Int) -> Secret {
    info.withUnsafeBytes { info in
      keyed.expand(to: length) { keyed in
        // 255 hashes are less than 2^16 bytes.
        withUnsafeBytes(of: UInt16(truncatingIfNeeded: length).bigEndian) { keyed.update($0) }
        keyed.update(Self.version)
        suite.withBytes { keyed.update($0) }
        keyed.update(label)
        keyed.update(info)
      }
    }
  }
}

/// `suite_id` of RFC 9180: four letters at most, and up to three numbers.
struct SuiteID: Sendable {
  private var bytes: InlineArray<10, UInt8> = .init(repeating: 0)
  private var count = 0

  init(kem: UInt16) {
    append("KEM")
    append(kem)
  }

  init(kem: UInt16, kdf: UInt16, aead: UInt16) {
    append("HPKE")
    append(kem)
    append(kdf)
    append(aead)
  }

  private mutating func append(_ name: StaticString) { name.withUTF8Buffer { for byte in $0 { append(byte) } } }

  private mutating func append(_ number: UInt16) {
    append(UInt8(truncatingIfNeeded: number >> 8))
    append(UInt8(truncatingIfNeeded: number))
  }

  private mutating func append(_ byte: UInt8) {
    bytes[count] = byte
    count += 1
  }

  @inline(__always)
  func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
    withUnsafeBytes(of: bytes) { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
  }
}
