import BenchKit
import COpenSSL
import CSodium
import CryptoPrimitives
import Glibc

/// A primitive in whose time operations are budgeted: the C library called on memory that is ready, with nothing of ours
/// around it.
final class Unit {
  let name: String
  private let call: () -> Void
  private let calls: Int

  /// As many calls make a sample as take about a millisecond.
  init(_ name: String, _ call: @escaping () -> Void) {
    self.name = name
    self.call = call
    call()
    let once = Processor.time { for _ in 0..<4 { call() } } / 4
    calls = max(2, min(10_000, Int(1_000_000 / max(1, once))))
  }

  /// Nanoseconds of one call, now.
  func sample() -> Double {
    Processor.time { for _ in 0..<calls { call() } } / Double(calls)
  }

  /// libsodium's Ed25519 signature of so many bytes.
  static func sign(_ size: Int, _ name: String) -> Unit {
    let keys = Buffers.signing
    let message = Buffers.random(size)
    let signature = Buffers.random(64)
    return Unit(name) { crypto_sign_ed25519_detached(signature, nil, message, UInt64(size), keys.secret) }
  }

  static func verify(_ size: Int, _ name: String) -> Unit {
    let keys = Buffers.signing
    let message = Buffers.random(size)
    let signature = Buffers.random(64)
    crypto_sign_ed25519_detached(signature, nil, message, UInt64(size), keys.secret)
    return Unit(name) {
      let status = crypto_sign_ed25519_verify_detached(signature, message, UInt64(size), keys.publicKey)
      precondition(status == 0)
    }
  }

  /// libsodium's X25519 with another's public key.
  static func agreement(_ name: String) -> Unit {
    let (scalar, point, shared) = (Buffers.random(32), Buffers.random(32), Buffers.random(32))
    crypto_scalarmult_curve25519_base(point, Buffers.random(32))
    return Unit(name) { _ = crypto_scalarmult_curve25519(shared, scalar, point) }
  }

  /// libsodium's X25519 with the base point.
  static func base(_ name: String) -> Unit {
    let (scalar, point) = (Buffers.random(32), Buffers.random(32))
    return Unit(name) { _ = crypto_scalarmult_curve25519_base(point, scalar) }
  }

  /// OpenSSL's ChaCha20-Poly1305 of so many bytes, either way: both directions do the same work.
  static func cipher(_ size: Int, _ name: String) -> Unit {
    let (key, nonce, input, output) = (
      Buffers.random(32), Buffers.random(12), Buffers.random(size), Buffers.random(size + 16)
    )
    let context = EVP_CIPHER_CTX_new()
    let cipher = EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil)
    return Unit(name) {
      var written: Int32 = 0
      EVP_CipherInit_ex2(context, cipher, key, nonce, 1, nil)
      EVP_CipherUpdate(context, output, &written, input, Int32(size))
      EVP_CipherFinal_ex(context, output + size, &written)
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, output + size)
    }
  }
}

/// Memory that stays for as long as the program: what the units work on.
private enum Buffers {
  static func random(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    // Without this libsodium keeps to its portable code: another X25519 than everybody who uses the library gets.
    precondition(sodium_init() >= 0)
    let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
    buffer.initialize(repeating: 0, count: count)
    randombytes_buf(buffer, count)
    return buffer
  }

  static var signing: (publicKey: UnsafeMutablePointer<UInt8>, secret: UnsafeMutablePointer<UInt8>) {
    let pair = (random(32), random(64))
    crypto_sign_ed25519_keypair(pair.0, pair.1)
    return pair
  }
}

/// Processor time of the whole process: what other programs take does not count, and a second thread of ours does.
enum Processor {
  static var nanoseconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
  }

  static func time(_ body: () throws -> Void) rethrows -> Double {
    let start = nanoseconds
    try body()
    return nanoseconds - start
  }
}
