package import CryptoPrimitives
import RelayProtocol

/// All that a client needs to know.
public struct Configuration: Sendable {
  /// How news comes from the relay.
  public enum Connection: Sendable, Hashable {
    /// A WebSocket, and long polls where none can be had.
    case automatic
    case socketOnly
    case longPollOnly
    /// Nothing by itself: ``ChatClient/sync()`` fetches what is there. For one-shot commands.
    case manual
  }

  /// The MLS cipher suite of the rooms and key packages that this client makes.
  public enum Suite: UInt16, Sendable, Hashable {
    /// X25519, AES-128-GCM, SHA-256, Ed25519.
    case x25519AES128 = 0x0001
    /// X25519, ChaCha20-Poly1305, SHA-256, Ed25519: the default.
    case x25519ChaCha20 = 0x0003
  }

  /// The relay's URL: `https://` and, for a relay on this machine, `http://`.
  public var relay: String
  public var store: StoreLocation
  /// What this device is called where its account's devices are listed; others can read it.
  public var deviceName: String
  public var connection: Connection
  public var suite: Suite
  /// A PEM file of the certificates to trust instead of the system's.
  public var trustedCertificates: String?
  /// How long a call waits for the relay's answer.
  public var timeout: Duration
  /// Lets `http://` reach hosts other than this machine. Without TLS the network sees tokens and who talks to whom.
  public var allowsPlainHTTP: Bool

  public init(
    relay: String, store: StoreLocation, deviceName: String = "Kin", connection: Connection = .automatic,
    suite: Suite = .x25519ChaCha20, trustedCertificates: String? = nil, timeout: Duration = .seconds(30),
    allowsPlainHTTP: Bool = false
  ) {
    (self.relay, self.store, self.deviceName, self.connection) = (relay, store, deviceName, connection)
    (self.suite, self.trustedCertificates, self.timeout) = (suite, trustedCertificates, timeout)
    self.allowsPlainHTTP = allowsPlainHTTP
  }
}

/// Where the client keeps its state, and what opens it.
public struct StoreLocation: Sendable {
  package enum Unlock: Sendable {
    case passphrase(Passphrase)
    case keyFile(String)
  }

  package let path: String
  package let unlock: Unlock
  /// What guessing the passphrase of a stolen file costs: RFC 9106's second choice, for machines with little memory.
  package var cost = (passes: 3, memoryKiB: 65_536)

  /// A SQLite file, sealed under a passphrase. It is made if it is not there.
  public static func file(_ path: String, passphrase: Passphrase) -> StoreLocation {
    StoreLocation(path: path, unlock: .passphrase(passphrase))
  }

  /// A SQLite file, sealed under a key of 32 random bytes in a file of its own, which is made, readable by its owner
  /// only, if it is not there. Keep the two apart where you can: who has both has everything.
  public static func file(_ path: String, keyFile: String) -> StoreLocation {
    StoreLocation(path: path, unlock: .keyFile(keyFile))
  }
}

/// What opens a store. Never shown by printing; its bytes are wiped with the last copy.
public struct Passphrase: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package let secret: Secret
  public init(_ text: String) { secret = Secret(copying: Array(text.utf8)) }
  public init(bytes: [UInt8]) { secret = Secret(copying: bytes) }
  public var description: String { "Passphrase(redacted)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}

/// A token with which a team's single sign-on says who somebody is: a JWT, exchanged once for a session.
///
/// Never shown by printing; its bytes are wiped with the last copy.
public struct SignOnToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package let secret: Secret
  /// The longest that a relay takes, in bytes.
  public static let maxBytes = Limits.externalToken

  public init(_ text: String) { secret = Secret(copying: Array(text.utf8)) }
  public init(bytes: [UInt8]) { secret = Secret(copying: bytes) }
  public var description: String { "SignOnToken(redacted)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }

  /// - Throws: `externalTokenInvalid` for what cannot be a token: the relay need not see it.
  func text() throws -> String {
    let bytes = secret.withBytes { Array($0) }
    guard !bytes.isEmpty, bytes.count <= Self.maxBytes, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw ChatError(.externalTokenInvalid)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// What opens an account at a relay. Never shown by printing; its bytes are wiped with the last copy.
public struct Password: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package let secret: Secret
  public init(_ text: String) { secret = Secret(copying: Array(text.utf8)) }
  public init(bytes: [UInt8]) { secret = Secret(copying: bytes) }
  public var description: String { "Password(redacted)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}
