#if DEBUG
import CryptoPrimitives

/// The kinds that are about the primitives: HPKE as RFC 9180's authors publish it, and Wycheproof's.
enum PrimitiveChecks {
  /// Both sides of an encapsulation, all messages in their order, and the exports.
  static func hpke(_ vector: JSON) throws {
    let hpke = try suite(of: vector)
    let key = try privateKey("R", hpke.kem, of: vector)
    let sending: HPKESenderMode
    let receiving: HPKEReceiverMode
    switch try vector.int("mode") {
    case 0: (sending, receiving) = (.base, .base)
    case 1:
      let psk = try preSharedKey(of: vector)
      (sending, receiving) = (.psk(psk), .psk(psk))
    case 2:
      let sender = try privateKey("S", hpke.kem, of: vector)
      (sending, receiving) = (.auth(sender), .auth(sender.publicKey))
    case 3:
      let (sender, psk) = (try privateKey("S", hpke.kem, of: vector), try preSharedKey(of: vector))
      (sending, receiving) = (.authPSK(sender, psk), .authPSK(sender.publicKey, psk))
    case let mode: throw Finding.failed("mode \(mode) does not exist")
    }
    let (info, enc) = (try vector.hex("info"), try vector.hex("enc"))
    try vector.expect("shared_secret", hpke.kem.decapsulate(enc, with: key, from: receiving.sender))
    var receiver = try hpke.setupReceiver(kemOutput: enc, with: key, mode: receiving, info: info)
    let messages = try vector.list("encryptions")
    for message in messages {
      try message.expect("pt", receiver.open(message.hex("ct"), associatedData: message.hex("aad")))
    }
    if let first = messages.first {
      let opened = try hpke.open(
        first.hex("ct"), kemOutput: enc, with: key, mode: receiving, info: info, associatedData: first.hex("aad"))
      try first.expect("pt", opened)
    }
    for export in try vector.list("exports") {
      try export.expect(
        "exported_value", receiver.export(context: export.hex("exporter_context"), length: export.int("L")))
    }
    guard vector.optional("skEm") != nil || vector.optional("ikmE") != nil else { return }
    let ephemeral = try privateKey("E", hpke.kem, of: vector)
    var sender = try hpke.setupSender(to: key.publicKey, mode: sending, info: info, ephemeral: ephemeral)
    let kemOutput = sender.kemOutput
    try vector.expect("enc", kemOutput)
    for message in messages {
      try message.expect("ct", sender.seal(message.hex("pt"), associatedData: message.hex("aad")))
    }
    for export in try vector.list("exports") {
      try export.expect(
        "exported_value", sender.export(context: export.hex("exporter_context"), length: export.int("L")))
    }
  }

  private static func suite(of vector: JSON) throws -> HPKE {
    let (kemID, kdfID, aeadID) = try (vector.uint16("kem_id"), vector.uint16("kdf_id"), vector.uint16("aead_id"))
    guard let kem = KEM(rawValue: kemID) else { throw Finding.skipped("KEM \(kemID) is not offered") }
    guard let hash = HashAlgorithm.allCases.first(where: { $0.hpkeIdentifier == kdfID }) else {
      throw Finding.skipped("KDF \(kdfID) is not offered")
    }
    // 0xffff stands for a suite that only exports.
    if aeadID == 0xffff { return HPKE(kem: kem, hash: hash, aead: nil) }
    guard let aead = AEADAlgorithm(rawValue: aeadID) else { throw Finding.skipped("AEAD \(aeadID) is not offered") }
    return HPKE(kem: kem, hash: hash, aead: aead)
  }

  /// The key of the receiver, the sender or the encapsulation, restored and derived.
  private static func privateKey(_ whose: String, _ kem: KEM, of vector: JSON) throws -> HPKEPrivateKey {
    let derived = try vector.optional("ikm\(whose)").map {
      try HPKEPrivateKey.deriveKeyPair(kem, inputKey: Secret(copying: $0.hex))
    }
    guard let serialised = vector.optional("sk\(whose)m") else {
      guard let derived else { throw Finding.failed("no key \(whose)") }
      return derived
    }
    let key = try HPKEPrivateKey(kem: kem, serialized: Secret(copying: serialised.hex))
    try vector.expect("pk\(whose)m", key.publicKey)
    try require(derived ?? key == key, "ikm\(whose) leads to another key")
    return key
  }

  private static func preSharedKey(of vector: JSON) throws -> HPKEPreSharedKey {
    try HPKEPreSharedKey(key: vector.secret("psk"), id: vector.hex("psk_id"))
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
