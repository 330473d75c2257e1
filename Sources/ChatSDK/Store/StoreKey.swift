import CryptoPrimitives
import FoundationEssentials
import Glibc
import WireCodec

/// The random key that everything in a store is sealed under, and how it is wrapped.
struct StoreKey: Sendable {
  let secret: Secret

  /// One key for each purpose, so that no value can be passed off as one of another table.
  func subkey(_ purpose: StaticString) throws -> Secret {
    try KDF.expand(.sha256, key: secret, info: Array("Kin store 1 \(purpose)".utf8), length: 32)
  }

  /// How a store's key is wrapped: kept in the clear beside it.
  struct Wrapping: WireCodable {
    var method: UInt8
    var salt: [UInt8]
    var passes: UInt32
    var memoryKiB: UInt32
    var wrapped: [UInt8]

    init(method: UInt8, salt: [UInt8], passes: UInt32, memoryKiB: UInt32, wrapped: [UInt8]) {
      (self.method, self.salt, self.passes) = (method, salt, passes)
      (self.memoryKiB, self.wrapped) = (memoryKiB, wrapped)
    }

    init(from reader: inout Reader) throws(WireError) {
      guard try reader.readUInt8() == 1 else { throw WireError(.invalidValue) }
      method = try reader.readUInt8()
      salt = try reader.readVector(max: 64)
      passes = try reader.readUInt32()
      memoryKiB = try reader.readUInt32()
      wrapped = try reader.readVector(max: 256)
    }

    func encode(into writer: inout Writer) {
      writer.write(UInt8(1))
      writer.write(method)
      writer.writeVector(salt)
      writer.write(passes)
      writer.write(memoryKiB)
      writer.writeVector(wrapped)
    }

    var associatedData: [UInt8] {
      var writer = Writer()
      writer.write("Kin store key 1")
      writer.write(method)
      writer.writeVector(salt)
      writer.write(passes)
      writer.write(memoryKiB)
      return writer.bytes
    }
  }

  static func make(for location: StoreLocation) throws -> (StoreKey, Wrapping) {
    let key = StoreKey(secret: .random(count: XChaCha20Poly1305.keySize))
    var wrapping = Wrapping(
      method: 1, salt: Random.bytes(PasswordHash.saltSize), passes: UInt32(clamping: location.cost.passes),
      memoryKiB: UInt32(clamping: location.cost.memoryKiB), wrapped: [])
    if case .keyFile = location.unlock { wrapping.method = 2 }
    let outer = try wrapping.outerKey(location, createsFile: true)
    wrapping.wrapped = try XChaCha20Poly1305.seal(
      key: outer, associatedData: wrapping.associatedData, plaintext: key.secret)
    return (key, wrapping)
  }

  /// - Throws: `wrongPassphrase` if this is not what it was wrapped with.
  static func open(_ wrapping: Wrapping, for location: StoreLocation) throws -> StoreKey {
    let outer = try wrapping.outerKey(location, createsFile: false)
    do {
      return StoreKey(
        secret: try XChaCha20Poly1305.openSecret(
          key: outer, associatedData: wrapping.associatedData, sealed: wrapping.wrapped))
    } catch { throw ChatError(.wrongPassphrase) }
  }
}

extension StoreKey.Wrapping {
  fileprivate func outerKey(_ location: StoreLocation, createsFile: Bool) throws -> Secret {
    switch location.unlock {
    case .passphrase(let passphrase):
      guard method == 1 else { throw ChatError(.wrongPassphrase, detail: "this store is opened by a key file") }
      do {
        let cost = try PasswordHash.Parameters(passes: Int(passes), memoryKiB: Int(memoryKiB))
        return try PasswordHash.deriveKey(passphrase: passphrase.secret, salt: salt, cost)
      } catch { throw ChatError(.storeDamaged, underlying: error) }
    case .keyFile(let path):
      guard method == 2 else { throw ChatError(.wrongPassphrase, detail: "this store is opened by a passphrase") }
      return try KDF.expand(
        .sha256, key: try KeyFile.key(at: path, creates: createsFile), info: Array("Kin key file 1".utf8) + salt,
        length: 32)
    }
  }
}

/// A file of 32 random bytes that only its owner may read.
enum KeyFile {
  static func key(at path: String, creates: Bool) throws -> Secret {
    let flags = O_CLOEXEC | O_NOFOLLOW
    var descriptor = open(path, O_RDONLY | flags)
    if descriptor < 0, errno == ENOENT, creates {
      descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | flags, 0o600)
      if descriptor >= 0 {
        let fresh = Secret.random(count: 32)
        let written = fresh.withBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written == 32, fsync(descriptor) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
          close(descriptor)
          throw ChatError(.storeFailed, detail: "the key file cannot be written")
        }
      }
    }
    guard descriptor >= 0 else { throw ChatError(.wrongPassphrase, detail: "the key file cannot be opened") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & 0o077 == 0 else {
      throw ChatError(.wrongPassphrase, detail: "the key file can be read by others: chmod 600")
    }
    guard status.st_size == 32 else { throw ChatError(.wrongPassphrase, detail: "a key file has 32 bytes") }
    var count = 0
    let secret = Secret(count: 32) { count = read(descriptor, $0.baseAddress, 32) }
    guard count == 32 else { throw ChatError(.wrongPassphrase, detail: "the key file cannot be read") }
    return secret
  }
}
