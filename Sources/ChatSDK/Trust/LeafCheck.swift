import E2ECrypto
import RelayProtocol
import WireCodec

/// Whether a leaf is what it says: a device of its account, by the account's own word and its newest list.
enum LeafCheck {
  enum Verdict: Hashable {
    case valid(DeviceCredential)
    /// The credential proves nothing, whatever else is known.
    case forged
    /// The account key is not the pinned one.
    case otherIdentity(UserID)
    /// The device does not stand like this in the newest list that is known.
    case notListed(UserID)
    /// Nothing is known of the user yet.
    case unknown(UserID)
  }

  /// The credential of a leaf, if its account signed it and it speaks of the leaf's own key.
  static func credential(of credential: Credential, signatureKey: [UInt8]) -> DeviceCredential? {
    guard let identity = credential.identity, let device = try? DeviceCredential(decoding: identity),
      device.entry.signatureKey == signatureKey, device.isSignatureValid
    else { return nil }
    return device
  }

  static func credential(of member: Member) -> DeviceCredential? {
    credential(of: member.credential, signatureKey: member.signatureKey)
  }

  static func check(_ credential: Credential, signatureKey: [UInt8], pins: (UserID) -> Pin?) -> Verdict {
    guard let device = Self.credential(of: credential, signatureKey: signatureKey) else { return .forged }
    guard let pin = pins(device.user) else { return .unknown(device.user) }
    // An identity that waits to be accepted still has to hold together.
    let isCandidate = pin.candidate?.list.accountKey == device.accountKey
    guard device.accountKey == pin.accountKey || isCandidate else { return .otherIdentity(device.user) }
    let devices = isCandidate ? pin.candidate?.list.devices ?? [] : pin.list.list.devices
    guard devices.contains(device.entry) else { return .notListed(device.user) }
    return .valid(device)
  }

  /// Whether a member's leaf is a device of its account, or was one until the account revoked it.
  static func mayStand(_ member: Member, pins: (UserID) -> Pin?) -> Bool {
    check(member.credential, signatureKey: member.signatureKey, pins: pins).isValid
      || CommitClaim.Leaf(member).map { pins($0.user)?.hasRevoked($0) ?? false } ?? false
  }

  /// Whether no device and no key stands in the tree twice.
  static func hasNoDoubles(_ members: [DeviceCredential]) -> Bool {
    Set(members.map { "\($0.user)/\($0.entry.device)" }).count == members.count
      && Set(members.map(\.entry.signatureKey)).count == members.count
  }
}
