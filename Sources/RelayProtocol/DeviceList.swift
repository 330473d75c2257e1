public import WireCodec

/// One device of an account, as the account's list names it.
public struct DeviceEntry: WireCodable, Hashable {
  public var device: DeviceID
  /// The Ed25519 public key with which the device's MLS leaves are signed.
  public var signatureKey: [UInt8]
  /// What its owner calls it. Whoever may ask for the list can read it.
  public var name: String
  /// Seconds since 1970.
  public var added: UInt64

  public init(device: DeviceID, signatureKey: [UInt8], name: String, added: UInt64) {
    (self.device, self.signatureKey, self.name, self.added) = (device, signatureKey, name, added)
  }

  public init(from reader: inout Reader) throws(WireError) {
    device = try DeviceID(from: &reader)
    signatureKey = try reader.readVector(max: 256)
    name = try reader.readText(max: 256)
    added = try reader.readUInt64()
  }

  public func encode(into writer: inout Writer) {
    writer.write(device)
    writer.writeVector(signatureKey)
    writer.writeVector(Array(name.utf8))
    writer.write(added)
  }
}

/// The devices of an account in one version of its list.
public struct DeviceList: WireCodable, Hashable {
  public var user: UserID
  /// The account identity key (Ed25519), which signs this list and never changes silently.
  public var accountKey: [UInt8]
  /// 1, 2, 3 …: only ever grows. Clients remember the highest they saw; a lower one is an alarm.
  public var number: UInt64
  /// SHA-256 of the encoded ``SignedDeviceList`` before this one; empty for number 1.
  public var previous: [UInt8]
  /// Seconds since 1970.
  public var issued: UInt64
  public var devices: [DeviceEntry]

  public init(
    user: UserID, accountKey: [UInt8], number: UInt64, previous: [UInt8], issued: UInt64, devices: [DeviceEntry]
  ) {
    (self.user, self.accountKey, self.number) = (user, accountKey, number)
    (self.previous, self.issued, self.devices) = (previous, issued, devices)
  }

  public init(from reader: inout Reader) throws(WireError) {
    guard try reader.readUInt16() == Self.format else { throw WireError(.invalidValue) }
    user = try UserID(from: &reader)
    accountKey = try reader.readVector(max: 256)
    number = try reader.readUInt64()
    previous = try reader.readVector(max: 64)
    issued = try reader.readUInt64()
    devices = try reader.readList(max: Limits.deviceList)
    guard devices.count <= Limits.devicesPerAccount else { throw WireError(.tooLong) }
  }

  public func encode(into writer: inout Writer) {
    writer.write(Self.format)
    writer.write(user)
    writer.writeVector(accountKey)
    writer.write(number)
    writer.writeVector(previous)
    writer.write(issued)
    writer.writeList(devices)
  }

  private static let format: UInt16 = 1
}

/// A device list and the account key's signature over it. Whoever reads one checks the signature before anything else.
public struct SignedDeviceList: WireCodable, Hashable {
  public var list: DeviceList
  /// Ed25519 over ``signedBytes(of:)``.
  public var signature: [UInt8]

  public init(list: DeviceList, signature: [UInt8]) { (self.list, self.signature) = (list, signature) }

  public init(from reader: inout Reader) throws(WireError) {
    list = try DeviceList(from: &reader)
    signature = try reader.readVector(max: 256)
  }

  public func encode(into writer: inout Writer) {
    writer.write(list)
    writer.writeVector(signature)
  }

  /// What the account key signs: a label, so that no other signature can be taken for this one, and the list.
  public static func signedBytes(of list: DeviceList) -> [UInt8] {
    var writer = Writer()
    writer.writeVector(Array("Kin 1.0 device list".utf8))
    writer.write(list)
    return writer.bytes
  }
}

extension Reader {
  /// Reads UTF-8 text in a vector of at most `max` bytes.
  mutating func readText(max: Int) throws(WireError) -> String {
    let bytes = try readVector(max: max)
    guard let text = String(validating: bytes, as: UTF8.self) else { throw WireError(.invalidValue) }
    return text
  }
}

extension UserID: WireCodable {}
extension DeviceID: WireCodable {}
extension RoomID: WireCodable {}
extension SendID: WireCodable {}

extension Identifier where Self: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    let high = try reader.readUInt64()
    self.init(high: high, low: try reader.readUInt64())
  }

  public func encode(into writer: inout Writer) {
    writer.write(high)
    writer.write(low)
  }
}
