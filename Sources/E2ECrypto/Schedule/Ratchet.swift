import CryptoPrimitives
import WireCodec

/// How far a receiver goes for messages that come late, early or never.
struct RatchetLimits: Sendable {
  /// How many keys of messages that have not come are kept for one ratchet.
  var skipped: Int
  /// How many generations ahead of the next one a message may be.
  var forward: UInt32
}

/// One sender's sequence of keys for one kind of message (RFC 9420 section 9.1).
struct Ratchet: Sendable {
  private struct StoredKey: Sendable {
    let key: Secret
    let nonce: Secret
  }

  /// The generation that `secret` leads to; none is left after the last.
  private(set) var next: UInt32 = 0
  private var secret: Secret?
  private var skipped: [UInt32: StoredKey] = [:]

  init(secret: Secret) { self.secret = secret }

  /// Steps to the next generation. The secret that led to it is gone (RFC 9420 section 9.2).
  private mutating func step(_ suite: Suite) throws(MLSError) -> (generation: UInt32, key: StoredKey) {
    guard let secret else { throw MLSError(.ratchetExhausted) }
    let generation = next
    let expander = suite.expander(secret)
    let key = StoredKey(
      key: try expander.derive("key", generation: generation, length: suite.keySize),
      nonce: try expander.derive("nonce", generation: generation, length: suite.nonceSize))
    if generation == .max {
      self.secret = nil
    } else {
      self.secret = try expander.derive("secret", generation: generation, length: suite.hashSize)
      next = generation + 1
    }
    return (generation, key)
  }

  /// The sender's way: the next key, never given again.
  mutating func nextKey(_ suite: Suite) throws(MLSError) -> MessageKey {
    let (generation, key) = try step(suite)
    return MessageKey(generation: generation, key: key.key, nonce: key.nonce)
  }

  /// The receiver's way: the key of a generation, which this ratchet then no longer has. Call it on a copy, and keep the
  /// copy once the message has proved genuine: a forgery must not cost the honest message its key.
  mutating func key(
    for generation: UInt32, _ suite: Suite, limits: RatchetLimits
  ) throws(MLSError) -> MessageKey {
    if let stored = skipped.removeValue(forKey: generation) {
      return MessageKey(generation: generation, key: stored.key, nonce: stored.nonce)
    }
    guard secret != nil, generation >= next else { throw MLSError(.keyConsumed) }
    guard generation - next <= limits.forward else { throw MLSError(.forwardDistanceExceeded) }
    while next < generation {
      let (generation, key) = try step(suite)
      skipped[generation] = key
    }
    let (_, key) = try step(suite)
    forgetOldest(keeping: limits.skipped)
    return MessageKey(generation: generation, key: key.key, nonce: key.nonce)
  }

  private mutating func forgetOldest(keeping limit: Int) {
    guard skipped.count > limit else { return }
    for generation in skipped.keys.sorted().prefix(skipped.count - limit) {
      skipped.removeValue(forKey: generation)
    }
  }
}

extension Ratchet {
  init(from reader: inout Reader) throws(WireError) {
    next = try reader.readUInt32()
    secret = try reader.readBool() ? try reader.readSecret(max: Bounds.hash) : nil
    for _ in 0..<(try reader.readCount()) {
      let generation = try reader.readUInt32()
      skipped[generation] = StoredKey(
        key: try reader.readSecret(max: Bounds.hash), nonce: try reader.readSecret(max: Bounds.hash))
    }
  }

  func encode(into writer: inout SecretWriter) {
    writer.write(next)
    writer.write(secret != nil)
    if let secret { writer.write(secret) }
    writer.writeCount(skipped.count)
    for generation in skipped.keys.sorted() {
      guard let stored = skipped[generation] else { continue }
      writer.write(generation)
      writer.write(stored.key)
      writer.write(stored.nonce)
    }
  }
}
