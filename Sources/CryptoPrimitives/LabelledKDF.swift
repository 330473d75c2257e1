/// LabeledExtract and LabeledExpand of RFC 9180 section 4: HKDF bound to the protocol, the suite and a label.
struct LabelledKDF {
  let hash: HashAlgorithm
  let suiteID: [UInt8]

  private static let version = Array("HPKE-v1".utf8)

  func extract(salt: Secret, label: String, inputKey: Secret) -> Secret {
    let prefix = Self.version + suiteID + Array(label.utf8)
    return prefix.withUnsafeBytes { prefix in
      inputKey.withBytes { inputKey in KDF.extract(hash, salt: salt, inputKey: [prefix, inputKey]) }
    }
  }

  func expand(_ key: Secret, label: String, info: [UInt8], length: Int) throws(CryptoError) -> Secret {
    guard let short = UInt16(exactly: length) else { throw CryptoError(.invalidLength) }
    let bound = short.bigEndianBytes + Self.version + suiteID + Array(label.utf8) + info
    return try KDF.expand(hash, key: key, info: bound, length: length)
  }
}

extension UInt16 {
  var bigEndianBytes: [UInt8] { [UInt8(truncatingIfNeeded: self >> 8), UInt8(truncatingIfNeeded: self)] }
}
