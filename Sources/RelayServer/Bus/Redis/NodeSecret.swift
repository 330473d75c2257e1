import CryptoPrimitives

/// What the relays of one store share and Redis does not know: who reads there finds names that say nothing, and who writes there
/// can make none up.
struct NodeSecret: Sendable {
  private let names: Secret
  private let seals: Secret

  /// - Parameter bytes: the store's ``RelayStore/nodeSecret()``.
  init(_ bytes: [UInt8]) {
    let secret = Secret(copying: bytes)
    func derived(_ purpose: String) -> Secret {
      Secret(copying: HMAC.code(.sha256, key: secret, message: Array("kin nodes \(purpose) 1".utf8)))
    }
    (names, seals) = (derived("names"), derived("seals"))
  }

  /// What Redis calls something: 16 bytes, the same at each node.
  func name(_ bytes: [UInt8]) -> [UInt8] { Array(HMAC.code(.sha256, key: names, message: bytes).prefix(16)) }

  /// Seals for the other nodes; `context` must be the same at opening.
  func seal(_ bytes: [UInt8], with context: [UInt8]) -> [UInt8] {
    // Fails for a key of another length only, and this one is a hash.
    (try? XChaCha20Poly1305.seal(key: seals, associatedData: context, plaintext: bytes)) ?? []
  }

  /// What a node sealed; `nil` if none did.
  func open(_ sealed: [UInt8], with context: [UInt8]) -> [UInt8]? {
    try? XChaCha20Poly1305.open(key: seals, associatedData: context, sealed: sealed)
  }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
      let digits = String(byte, radix: 16)
      return digits.utf8.count == 1 ? "0" + digits : digits
    }.joined()
  }
}
