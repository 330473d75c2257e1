import CSodium

/// Argon2id (RFC 9106), for passwords that a server checks and for keys from passphrases.
///
/// Slow and hungry by intent, and it blocks: call it on a thread of its own, and bound how many run at once.
public enum PasswordHash {
  /// What one hash costs.
  ///
  /// One lane, as libsodium has it.
  public struct Parameters: Hashable, Sendable {
    public let passes: Int
    public let memoryKiB: Int

    /// - Throws: `invalidLength` outside of 1–64 passes and 8 KiB–1 GiB.
    public init(passes: Int, memoryKiB: Int) throws(CryptoError) {
      guard (1...64).contains(passes), (8...1_048_576).contains(memoryKiB) else { throw CryptoError(.invalidLength) }
      self.init(checkedPasses: passes, memoryKiB: memoryKiB)
    }

    private init(checkedPasses passes: Int, memoryKiB: Int) {
      self.passes = passes
      self.memoryKiB = memoryKiB
    }

    /// For logins: 2 passes over 64 MiB.
    public static let interactive = Parameters(checkedPasses: 2, memoryKiB: 65_536)
    /// For a store's key: 3 passes over 256 MiB.
    public static let moderate = Parameters(checkedPasses: 3, memoryKiB: 262_144)
    /// For tests only: protects nothing.
    public static let minimal = Parameters(checkedPasses: 1, memoryKiB: 8)
  }

  /// The length of a salt for `deriveKey`.
  public static let saltSize = Int(crypto_pwhash_argon2id_SALTBYTES)

  /// Hashes a password under a fresh salt into a PHC string, which holds all that `verify` needs.
  ///
  /// - Throws: `outOfMemory` if the memory that `parameters` ask for is not to be had: try again later.
  public static func hash(password: [UInt8], _ parameters: Parameters = .interactive) throws(CryptoError) -> String {
    Sodium.prepare()
    let output = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(crypto_pwhash_argon2id_STRBYTES)) {
      buffer -> String? in
      guard let base = buffer.baseAddress else { return nil }
      let status = password.withUnsafeBytes { password in
        crypto_pwhash_argon2id_str(
          base, password.characters, UInt64(password.count), UInt64(parameters.passes),
          parameters.memoryKiB * 1024)
      }
      return status == 0 ? String(cString: base) : nil
    }
    guard let output else { throw CryptoError(.outOfMemory) }
    return output
  }

  /// Whether `password` is the one behind `string`.
  ///
  /// A string that is not a PHC string of Argon2id matches nothing.
  public static func verify(password: [UInt8], against string: String) -> Bool {
    Sodium.prepare()
    guard isPlausible(string) else { return false }
    return password.withUnsafeBytes { password in
      crypto_pwhash_argon2id_str_verify(string, password.characters, UInt64(password.count)) == 0
    }
  }

  /// Whether `string` was made with other parameters and should be replaced at the next successful login.
  ///
  /// - Throws: `invalidPasswordHash` if it is no PHC string of Argon2id.
  public static func needsRehash(_ string: String, _ parameters: Parameters = .interactive) throws(CryptoError) -> Bool
  {
    Sodium.prepare()
    guard isPlausible(string) else { throw CryptoError(.invalidPasswordHash) }
    switch crypto_pwhash_argon2id_str_needs_rehash(string, UInt64(parameters.passes), parameters.memoryKiB * 1024) {
    case 0: return false
    case 1: return true
    default: throw CryptoError(.invalidPasswordHash)
    }
  }

  /// A key from a passphrase.
  ///
  /// The same passphrase, salt and parameters always give the same key; store the latter two.
  ///
  /// - Throws: `invalidLength` unless the salt has `saltSize` bytes and `length` is 16–1024; `outOfMemory`.
  public static func deriveKey(
    passphrase: Secret, salt: [UInt8], _ parameters: Parameters = .moderate, length: Int = 32
  ) throws(CryptoError) -> Secret {
    guard salt.count == saltSize, (16...1024).contains(length) else { throw CryptoError(.invalidLength) }
    Sodium.prepare()
    return try Secret(count: length) { output throws(CryptoError) in
      let status = passphrase.withBytes { passphrase in
        crypto_pwhash_argon2id(
          output.octets, UInt64(length), passphrase.characters,
          UInt64(passphrase.count), salt, UInt64(parameters.passes), parameters.memoryKiB * 1024,
          crypto_pwhash_argon2id_ALG_ARGON2ID13)
      }
      guard status == 0 else { throw CryptoError(.outOfMemory) }
    }
  }

  /// Whether `string` begins as a PHC string of Argon2id and asks for no more than 1 GiB and 64 passes: a damaged or
  /// planted one must not exhaust the machine.
  private static func isPlausible(_ string: String) -> Bool {
    guard string.utf8.count < Int(crypto_pwhash_argon2id_STRBYTES), !string.utf8.contains(0) else { return false }
    let fields = string.split(separator: "$", omittingEmptySubsequences: false)
    guard fields.count == 6, fields[0].isEmpty, fields[1] == "argon2id", fields[2] == "v=19" else { return false }
    let costs = fields[3].split(separator: ",", omittingEmptySubsequences: false)
    guard costs.count == 3, costs[0].hasPrefix("m="), costs[1].hasPrefix("t="), costs[2] == "p=1",
      let memory = Int(costs[0].dropFirst(2)), let passes = Int(costs[1].dropFirst(2))
    else { return false }
    return (8...1_048_576).contains(memory) && (1...64).contains(passes)
  }
}
