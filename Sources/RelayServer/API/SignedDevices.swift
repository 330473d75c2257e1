import CryptoPrimitives
import RelayProtocol
import WireCodec

/// A device list that a client presents, with all checks that need no store behind it.
struct SignedDevices: Sendable {
  let list: DeviceList
  let encoded: [UInt8]

  /// Throws `invalidRequest` for what is no device list, `invalidSignature` unless the account key in it signed it.
  init(_ encoded: [UInt8]) throws(RelayError) {
    guard encoded.count <= Limits.deviceList, let signed = try? SignedDeviceList(decoding: encoded) else {
      throw RelayError(.invalidRequest, "The device list cannot be read.")
    }
    let list = signed.list
    guard !list.devices.isEmpty, list.devices.count <= Limits.devicesPerAccount,
      Set(list.devices.map(\.device)).count == list.devices.count,
      Set(list.devices.map(\.signatureKey)).count == list.devices.count,
      list.devices.allSatisfy({ $0.signatureKey.count == SignatureScheme.ed25519.publicKeySize })
    else { throw RelayError(.invalidRequest, "The device list is not consistent.") }
    guard
      SignatureScheme.ed25519.verify(
        publicKey: list.accountKey, message: SignedDeviceList.signedBytes(of: list), signature: signed.signature)
    else { throw RelayError(.invalidSignature, "The device list's signature is not valid.") }
    (self.list, self.encoded) = (list, encoded)
  }

  /// The list of an account that begins.
  init(first encoded: [UInt8]) throws(RelayError) {
    try self.init(encoded)
    guard list.number == 1, list.previous.isEmpty, list.devices.count == 1 else {
      throw RelayError(.invalidRequest, "An account begins with list number 1 of one device.")
    }
  }

  var record: DeviceListRecord {
    DeviceListRecord(number: list.number, devices: list.devices.map(\.device), encoded: encoded)
  }
}
