import CryptoPrimitives
import RelayProtocol
import WireCodec

/// What this client knows of a user's identity since it first saw it.
struct Pin: StoredRecord, Hashable {
  static let kind = RecordKind.pin
  var key: [UInt8] { user.bytes }

  var user: UserID
  var username: String
  var accountKey: [UInt8]
  /// The newest ``SignedDeviceList`` seen under ``accountKey``.
  var list: SignedDeviceList
  var isVerified: Bool
  /// A list under another account key, which waits to be accepted.
  var candidate: SignedDeviceList?

  var person: Person { Person(id: user, username: username) }
  /// Whether nothing may be sent to rooms with this user.
  var blocksSending: Bool { isVerified && candidate != nil }

  init(username: String, list: SignedDeviceList) {
    (self.user, self.username, self.accountKey) = (list.list.user, username, list.list.accountKey)
    (self.list, self.isVerified, self.candidate) = (list, false, nil)
  }

  init(from reader: inout Reader) throws(WireError) {
    user = try UserID(from: &reader)
    username = try reader.readString()
    accountKey = try reader.readVector(max: 256)
    list = try SignedDeviceList(from: &reader)
    isVerified = try reader.readBool()
    candidate = try reader.readOptional()
  }

  func encode(into writer: inout Writer) {
    writer.write(user)
    writer.write(username)
    writer.writeVector(accountKey)
    writer.write(list)
    writer.write(isVerified)
    writer.writeOptional(candidate)
  }

  /// What came of looking at a list that the relay gave.
  enum Outcome: Hashable {
    case first
    case unchanged
    case newer(added: [DeviceEntry])
    case identityChanged
    /// Lower than before, of the same number but different, or not the successor of the one before it.
    case rolledBack
    case forged
  }

  /// Weighs a list from the relay against what is pinned, and says what to store: nothing for alarms.
  static func weigh(
    _ list: SignedDeviceList, username: String, expecting user: UserID?, pinned: Pin?
  ) -> (outcome: Outcome, pin: Pin?) {
    guard list.isValid, user == nil || user == list.list.user, pinned == nil || pinned?.user == list.list.user else {
      return (.forged, nil)
    }
    guard var pin = pinned else { return (.first, Pin(username: username, list: list)) }
    guard list.list.accountKey == pin.accountKey else {
      guard pin.candidate != list else { return (.identityChanged, nil) }
      pin.candidate = list
      return (.identityChanged, pin)
    }
    let (old, new) = (pin.list.list.number, list.list.number)
    if new == old { return list.list == pin.list.list ? (.unchanged, nil) : (.rolledBack, nil) }
    guard new > old else { return (.rolledBack, nil) }
    if new == old + 1, list.list.previous != pin.list.hash { return (.rolledBack, nil) }
    let known = Set(pin.list.list.devices.map(\.device))
    pin.list = list
    // The relay shows the known identity again: what it claimed in between was never accepted.
    pin.candidate = nil
    return (.newer(added: list.list.devices.filter { !known.contains($0.device) }), pin)
  }

  /// Makes the waiting identity the pinned one. It has to be verified anew.
  mutating func acceptCandidate() {
    guard let candidate else { return }
    (list, accountKey) = (candidate, candidate.list.accountKey)
    (self.candidate, isVerified) = (nil, false)
  }
}

/// The number that two people compare (60 digits of both accounts' ids and keys).
///
/// Each side's thirty digits are the first 30 bytes of SHA-512, iterated 5,200 times over a label, the account key and
/// the user id, five bytes to five digits; the lower thirty digits come first, so that both sides show the same.
enum SafetyDigits {
  static let iterations = 5200

  static func half(user: UserID, accountKey: [UInt8]) -> String {
    let identity = accountKey + user.bytes
    var hash = Array("Kin 1.0 safety number".utf8) + identity
    for _ in 0..<iterations { hash = Digest.hash(.sha512, hash + accountKey) }
    var digits = ""
    for group in 0..<6 {
      let value = hash[group * 5..<group * 5 + 5].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } % 100_000
      let text = String(value)
      digits += String(repeating: "0", count: 5 - text.count) + text
    }
    return digits
  }

  static func number(
    _ left: (user: UserID, accountKey: [UInt8]), _ right: (user: UserID, accountKey: [UInt8])
  ) -> String {
    [half(user: left.user, accountKey: left.accountKey), half(user: right.user, accountKey: right.accountKey)]
      .sorted().joined()
  }
}
