import CryptoPrimitives
import WireCodec

/// The running hashes over all commits (RFC 9420 section 8.2).
enum TranscriptHash {
  /// The hash up to and including a commit's signature.
  static func confirmed(
    _ suite: Suite, interim: [UInt8], format: WireFormat, content: FramedContent, signature: [UInt8]
  ) -> [UInt8] {
    var writer = Writer(reserving: 1024)
    writer.writeBytes(interim)
    writer.write(format)
    writer.write(content)
    writer.writeVector(signature)
    return suite.hash(writer.bytes)
  }

  /// The hash up to and including a commit's confirmation tag.
  static func interim(_ suite: Suite, confirmed: [UInt8], confirmationTag: [UInt8]) -> [UInt8] {
    var writer = Writer(reserving: 96)
    writer.writeBytes(confirmed)
    writer.writeVector(confirmationTag)
    return suite.hash(writer.bytes)
  }
}
