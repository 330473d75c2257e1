/// An `info` in the form that the key schedule takes it in (RFC 9180 section 5.1, `key_schedule_context`).
public struct HPKEInfo: Hashable, Sendable {
  let suite: HPKE
  fileprivate let keyScheduleContext: [UInt8]

  init(_ suite: HPKE, _ info: [UInt8], mode: UInt8 = 0, psk: HPKEPreSharedKey? = nil) {
    let labelled = suite.labelled
    let id = psk?.id ?? []
    let pskIDHash = id.withUnsafeBytes { labelled.extract(salt: .empty, label: "psk_id_hash", inputKey: $0) }
    let infoHash = info.withUnsafeBytes { labelled.extract(salt: .empty, label: "info_hash", inputKey: $0) }
    self.suite = suite
    // Both hashes are of public values.
    var context: [UInt8] = [mode]
    context.reserveCapacity(1 + 2 * suite.hash.size)
    pskIDHash.withBytes { context.append(contentsOf: $0) }
    infoHash.withBytes { context.append(contentsOf: $0) }
    keyScheduleContext = context
  }
}

/// The key schedule of RFC 9180 section 5.1, from which comes what either side needs.
struct HPKEKeySchedule {
  let suite: HPKE
  private let labelled: LabelledKDF
  private let secret: Secret
  private let context: [UInt8]

  init(_ suite: HPKE, sharedSecret: Secret, info: HPKEInfo, psk: HPKEPreSharedKey? = nil) {
    self.suite = suite
    labelled = suite.labelled
    secret = labelled.extract(salt: sharedSecret, label: "secret", inputKey: psk?.key ?? .empty)
    context = info.keyScheduleContext
  }

  /// Key and nonce of the first message, for those who send or await but one.
  func firstKey(of aead: AEADAlgorithm) -> (key: Secret, nonce: [UInt8]) {
    secret.withBytes { secret in
      KeyedHash.with(suite.hash, key: secret) { keyed in
        let (key, nonce) = messageKeys(of: aead, keyed)
        return (key, nonce.withBytes { [UInt8]($0) })
      }
    }
  }

  /// All that a context needs.
  func all() -> (cipher: (key: Secret, baseNonce: Secret)?, exporterSecret: Secret) {
    secret.withBytes { secret in
      KeyedHash.with(suite.hash, key: secret) { keyed in
        (
          suite.aead.map { messageKeys(of: $0, keyed) },
          labelled.expand(keyed, label: "exp", info: context, length: suite.hash.size)
        )
      }
    }
  }

  private func messageKeys(of aead: AEADAlgorithm, _ keyed: KeyedHash) -> (key: Secret, baseNonce: Secret) {
    (
      labelled.expand(keyed, label: "key", info: context, length: aead.keySize),
      labelled.expand(keyed, label: "base_nonce", info: context, length: aead.nonceSize)
    )
  }
}
