/// A failure of a cryptographic primitive.
///
/// Its texts are static, hence safe to log; two errors are equal if their codes are.
///
/// Families: `misuse` is a caller's mistake, `rejected` is input from elsewhere that must not be used,
/// `internal` is a failure of the machine or of the library below.
public struct CryptoError: Error, Equatable, Sendable {
  public enum Family: Sendable { case misuse, rejected, `internal` }

  /// What went wrong.
  ///
  /// A struct rather than an enum, so that a new code breaks nobody's `switch`.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    public let name: StaticString
    public let family: Family
    /// What a reader of the log can do about it.
    public let remedy: StaticString
    private let number: UInt8

    private init(_ number: UInt8, _ name: StaticString, _ family: Family, _ remedy: StaticString) {
      self.number = number
      self.name = name
      self.family = family
      self.remedy = remedy
    }

    public static let invalidKeyLength = Code(
      1, "invalid key length", .misuse, "Pass a key of the length that the algorithm names.")
    public static let invalidNonceLength = Code(
      2, "invalid nonce length", .misuse, "Pass a nonce of the length that the algorithm names.")
    public static let invalidLength = Code(
      3, "length out of range", .misuse, "Ask for a length within the algorithm's bounds.")
    public static let authenticationFailed = Code(
      4, "authentication failed", .rejected, "Discard the input: it was forged, damaged or sealed under another key.")
    public static let invalidPublicKey = Code(
      5, "invalid public key", .rejected, "Discard the input that carried the key.")
    public static let invalidPrivateKey = Code(
      6, "invalid private key", .rejected, "Restore the key from an intact copy, or make a new one.")
    public static let unsupportedCipherSuite = Code(
      7, "unsupported cipher suite", .rejected, "Use a suite for which `CipherSuite.isSupported` is true.")
    public static let invalidPasswordHash = Code(
      8, "invalid password hash", .rejected, "Reset the password: the stored hash is not a PHC string of Argon2id.")
    public static let messageLimitReached = Code(
      9, "message limit reached", .misuse, "Set up a new context: this one has used all of its nonces.")
    public static let outOfMemory = Code(
      10, "out of memory", .internal, "Free memory, raise the limit for locked memory, or lower the cost parameters.")
    public static let backendFailure = Code(
      11, "the cryptographic library failed", .internal, "Check the installation of OpenSSL and libsodium.")
    public static let exportOnly = Code(
      12, "the suite only exports", .misuse, "Seal and open with a suite that has a cipher.")

    public var description: String { "\(name)" }
    public static func == (left: Code, right: Code) -> Bool { left.number == right.number }
    public func hash(into hasher: inout Hasher) { hasher.combine(number) }
  }

  public let code: Code
  public let file: StaticString
  public let line: UInt

  init(_ code: Code, file: StaticString = #fileID, line: UInt = #line) {
    self.code = code
    self.file = file
    self.line = line
  }

  public static func == (left: CryptoError, right: CryptoError) -> Bool { left.code == right.code }
}

extension CryptoError: CustomStringConvertible {
  public var description: String { "\(code.name) (\(file):\(line)). \(code.remedy)" }
}
