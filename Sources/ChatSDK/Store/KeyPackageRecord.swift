import RelayProtocol
package import WireCodec

/// A key package of this device with its private keys, until somebody has used it.
package struct KeyPackageRecord: StoredRecord {
  package static let kind = RecordKind.keyPackage
  package var key: [UInt8] { reference }

  var reference: [UInt8]
  var isLastResort: Bool
  var bundle: [UInt8]
  /// In milliseconds since 1970, as its lifetime says.
  var expires: UInt64
  /// Of one of last resort: when it was used first, in milliseconds since 1970, or 0.
  var used: UInt64 = 0
  /// Hashes of the Welcomes that it has opened: none is good a second time.
  private(set) var opened: [[UInt8]] = []

  init(reference: [UInt8], isLastResort: Bool, bundle: [UInt8], expires: UInt64) {
    (self.reference, self.isLastResort, self.bundle, self.expires) = (reference, isLastResort, bundle, expires)
  }

  func hasOpened(_ welcome: [UInt8]) -> Bool { opened.contains(ClientContext.hash(welcome)) }

  /// Notes that it has opened a Welcome. One that came so often is replaced long before this list is full.
  mutating func open(_ welcome: [UInt8], now: UInt64) {
    if used == 0 { used = max(1, now) }
    opened.append(ClientContext.hash(welcome))
    if opened.count > 1000 { opened.removeFirst() }
  }

  package init(from reader: inout Reader) throws(WireError) {
    reference = try reader.readVector(max: 128)
    isLastResort = try reader.readBool()
    bundle = try reader.readVector(max: 1 << 20)
    expires = try reader.readUInt64()
    used = try reader.readUInt64()
    var hashes = Reader(try reader.readVector(max: 1 << 17))
    while hashes.remaining > 0 { opened.append(try hashes.readVector(max: 64)) }
  }

  package func encode(into writer: inout Writer) {
    writer.writeVector(reference)
    writer.write(isLastResort)
    writer.writeVector(bundle)
    writer.write(expires)
    writer.write(used)
    var hashes = Writer()
    for hash in opened { hashes.writeVector(hash) }
    writer.writeVector(hashes.bytes)
  }
}
