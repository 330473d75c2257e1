#if DEBUG
import CryptoPrimitives

/// The kinds that are about the primitives: HPKE as RFC 9180's authors publish it, and Wycheproof's.
enum PrimitiveChecks {
  /// Both sides of an encapsulation, all messages in their order, and the exports.
  static func hpke(_ vector: JSON) throws {
    let (kemID, kdfID, aeadID) = try (vector.uint16("kem_id"), vector.uint16("kdf_id"), vector.uint16("aead_id"))
    guard try vector.int("mode") == 0 else { throw Finding.skipped("only base mode is offered") }
    guard let kem = KEM(rawValue: kemID) else { throw Finding.skipped("KEM \(kemID) is not offered") }
    guard let hash = HashAlgorithm.allCases.first(where: { $0.hpkeIdentifier == kdfID }) else {
      throw Finding.skipped("KDF \(kdfID) is not offered")
    }
    guard let aead = AEADAlgorithm(rawValue: aeadID) else { throw Finding.skipped("AEAD \(aeadID) is not offered") }
    let hpke = HPKE(kem: kem, hash: hash, aead: aead)
    let key = try HPKEPrivateKey(kem: kem, serialized: vector.secret("skRm"))
    try vector.expect("pkRm", key.publicKey)
    if let seed = vector.optional("ikmR") {
      let derived = try HPKEPrivateKey.deriveKeyPair(kem, inputKey: Secret(copying: seed.hex))
      try require(derived == key, "ikmR leads to another key")
    }
    try vector.expect("shared_secret", kem.decapsulate(vector.hex("enc"), with: key))
    let info = try vector.hex("info")
    var receiver = try hpke.setupBaseReceiver(kemOutput: vector.hex("enc"), with: key, info: info)
    for message in try vector.list("encryptions") {
      try message.expect("pt", receiver.open(message.hex("ct"), associatedData: message.hex("aad")))
    }
    for export in try vector.list("exports") {
      try export.expect(
        "exported_value", receiver.export(context: export.hex("exporter_context"), length: export.int("L")))
    }
    guard let seed = vector.optional("ikmE") else { return }
    let ephemeral = try HPKEPrivateKey.deriveKeyPair(kem, inputKey: Secret(copying: seed.hex))
    var sender = try hpke.setupBaseSender(to: key.publicKey, info: info, ephemeral: ephemeral)
    let kemOutput = sender.kemOutput
    try vector.expect("enc", kemOutput)
    for message in try vector.list("encryptions") {
      try message.expect("ct", sender.seal(message.hex("pt"), associatedData: message.hex("aad")))
    }
    for export in try vector.list("exports") {
      try export.expect(
        "exported_value", sender.export(context: export.hex("exporter_context"), length: export.int("L")))
    }
  }

  /// Wycheproof's X25519: what leads to an all-zero secret is refused, as RFC 9180 section 7.1.4 demands.
  static func agreement(_ vector: JSON) throws {
    let group = vector.optional("group")
    let curve = try (vector.optional("curve") ?? group?.optional("curve"))?.string ?? "curve25519"
    guard ["curve25519", "x25519"].contains(curve.lowercased()) else {
      throw Finding.skipped("Wycheproof's \(curve) is not read here")
    }
    let (secret, expected) = (try vector.secret("private"), try vector.secret("shared"))
    let publicKey = try vector.hex("public")
    if try vector.string("result") == "invalid" || expected == .zeros(count: expected.count) {
      guard (try? X25519.agree(secret, publicKey)) == nil else { throw Finding.failed("a bad key was accepted") }
    } else {
      try vector.expect("shared", X25519.agree(secret, publicKey))
    }
  }

  /// Wycheproof's Ed25519.
  static func signature(_ vector: JSON) throws {
    let group = try vector.field("group")
    guard let key = group.optional("publicKey") ?? group.optional("key"), let curve = key.optional("curve") else {
      throw Finding.skipped("only Wycheproof's EdDSA signatures are read here")
    }
    guard try curve.string == "edwards25519" else {
      throw Finding.skipped("Wycheproof's \(try curve.string) is not read here")
    }
    let (publicKey, message, signature) = (try key.hex("pk"), try vector.hex("msg"), try vector.hex("sig"))
    let expected = try vector.string("result") == "valid"
    let valid = SignatureScheme.ed25519.verify(publicKey: publicKey, message: message, signature: signature)
    try require(valid == expected, "the signature is taken to be \(valid ? "valid" : "invalid")")
    // Ed25519 is deterministic: what is valid is what we would have signed.
    guard valid, let seed = key.optional("sk") else { return }
    let signer = try SigningKey(scheme: .ed25519, seed: Secret(copying: seed.hex))
    try require(try signer.sign(message) == signature, "we sign otherwise")
  }
}
#endif
