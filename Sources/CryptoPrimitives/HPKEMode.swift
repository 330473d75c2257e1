/// Whether and how a sender is authenticated (RFC 9180 section 5, table 1).
///
/// `Identity` is what stands for the sender: the private key on its own side, the public key on the receiver's.
public enum HPKEMode<Identity: Sendable>: Sendable {
  /// Anybody may be the sender.
  case base
  /// The sender knows a pre-shared key.
  case psk(HPKEPreSharedKey)
  /// The sender holds a private key of the same mechanism.
  ///
  /// Whoever knows the receiver's private key can forge such messages to that receiver (RFC 9180 section 9.1.1).
  case auth(Identity)
  /// The sender knows a pre-shared key and holds a private key.
  case authPSK(Identity, HPKEPreSharedKey)

  /// The mode's number on the way into the key schedule: what is sealed in one mode does not open in another.
  var number: UInt8 {
    switch self {
    case .base: 0
    case .psk: 1
    case .auth: 2
    case .authPSK: 3
    }
  }

  var psk: HPKEPreSharedKey? {
    switch self {
    case .psk(let psk), .authPSK(_, let psk): psk
    case .base, .auth: nil
    }
  }

  package var sender: Identity? {
    switch self {
    case .auth(let identity), .authPSK(let identity, _): identity
    case .base, .psk: nil
    }
  }
}

/// The mode as the sender names it, with its own private key.
public typealias HPKESenderMode = HPKEMode<HPKEPrivateKey>
/// The mode as the receiver names it, with the public key of the sender that it expects.
public typealias HPKEReceiverMode = HPKEMode<[UInt8]>

/// A key that both sides know, with the name by which they know it.
public struct HPKEPreSharedKey: Sendable {
  let key: Secret
  let id: [UInt8]

  /// - Throws: `invalidKeyLength` for less than the 32 bytes that RFC 9180 section 9.5 demands; `invalidLength` for an
  ///   empty name (section 5.1).
  public init(key: Secret, id: [UInt8]) throws(CryptoError) {
    guard key.count >= 32 else { throw CryptoError(.invalidKeyLength) }
    guard !id.isEmpty else { throw CryptoError(.invalidLength) }
    self.key = key
    self.id = id
  }
}
