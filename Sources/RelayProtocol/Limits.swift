/// Bounds that client and relay agree on. Both check them before they allocate.
public enum Limits {
  /// The longest MLSMessage of the log, in bytes: 64 KiB of text, its padding and framing fit many times.
  public static let message = 1 << 20
  /// The longest commit with its Welcome, in bytes (a room of 5,000 fits).
  public static let commitRequest = 16 << 20
  /// The longest JSON body of any other route, in bytes.
  public static let jsonBody = 1 << 20
  /// The longest binary frame on the socket, in bytes.
  public static let frame = message + 1024
  public static let keyPackage = 16 << 10
  /// The longest time that a key package may be good, in seconds: a little more than clients give, since clocks differ.
  public static let keyPackageLifetime: UInt64 = 100 * 86_400
  public static let keyPackagesPerUpload = 100
  public static let keyPackagesPerDevice = 200
  public static let deviceList = 64 << 10
  public static let devicesPerAccount = 32
  public static let cursorsPerFollow = 4096
  /// Entries in one page of history.
  public static let entriesPerPage = 500
  /// Bytes of messages in one page of history, unless a single entry is longer.
  public static let bytesPerPage = 4 << 20
  /// An application message may name the room's epoch or one of this many before it.
  public static let pastEpochs: UInt64 = 3
  public static let token = 4096
  /// The longest token of another issuer, which may list groups and roles.
  public static let externalToken = 16 << 10
  /// For how long the answer to a refresh may have been lost, in milliseconds.
  public static let refreshGrace: UInt64 = 60_000
  public static let displayName = 64
  public static let avatarURL = 512
  /// Users in one question for presence.
  public static let presenceQuery = 500
  public static let inviteToken = 64
  public static let longPollSeconds: Double = 30
  public static let usernameLengths = 3...32
  public static let passwordLengths = 8...1024
  public static let membersPerRoom = 5000
  /// The longest encrypted group info that goes with a commit, in bytes.
  public static let groupInfo = 8 << 20
  public static let invitesPerRoom = 32
  public static let bannedPerRoom = 4096
  /// The longest time a join code is good, in seconds.
  public static let codeLifetime: UInt64 = 7 * 86_400
  public static let codeUses: UInt32 = 1000
  /// Requests to come in that wait in one room.
  public static let requestsPerRoom = 1000
  public static let listingName = 128
  public static let listingTopic = 512
  public static let directoryPage = 50
  public static let deletionProof = 1024

  /// Whether `name` is 3 to 32 of `a-z 0-9 . _ -`, and begins with a letter or digit.
  public static func isUsername(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    guard usernameLengths.contains(bytes.count), let first = bytes.first else { return false }
    func isAlphanumeric(_ byte: UInt8) -> Bool {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
    return isAlphanumeric(first) && bytes.allSatisfy { isAlphanumeric($0) || ".-_".utf8.contains($0) }
  }
}
