/// Why an operation on a group, a key package or a message did not happen.
///
/// Two errors are equal if their codes are; the place is for people. Texts are static and nothing of the input is kept,
/// so an error is safe to log. Nothing of it should be told to the peer whose message caused it.
///
/// After any thrown error a ``Group`` is as it was before the call, apart from generations of its own ratchets that may
/// have been spent: these are never used again.
public struct MLSError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Whose doing the error is, and so what the caller should do about it.
  public enum Family: Sendable {
    /// The caller asked for something impossible: change the call.
    case misuse
    /// The input is refused: drop it, and keep the group as it is.
    case rejected
    /// Our own fault, or the machine's: report it.
    case fault
  }

  public struct Code: Hashable, Sendable, CustomStringConvertible {
    public let family: Family
    /// The rule of RFC 9420 that the input breaks, for ``Code/rule(_:)``.
    public let rule: Rule?
    private let text: StaticString
    private let number: UInt16

    private init(_ family: Family, _ number: UInt16, _ text: StaticString, rule: Rule? = nil) {
      self.family = family
      self.number = number
      self.text = text
      self.rule = rule
    }

    // MARK: Misuse

    /// The suite, or a use of it, is not supported.
    public static let unsupportedSuite = Code(.misuse, 1, "the cipher suite is not supported")
    /// The group has moved on since the pending value was made: make a new one.
    public static let epochMoved = Code(.misuse, 2, "the group's epoch has moved on")
    /// This client has been removed, or the group was reinitialised: it can send and receive nothing more.
    public static let inactive = Code(.misuse, 3, "the group is no longer active for this client")
    /// The proposal cannot be made in this way.
    public static let invalidProposal = Code(.misuse, 4, "the proposal cannot be made this way")
    /// Proposals have been received in this epoch: commit first (RFC 9420 section 12.4).
    public static let commitFirst = Code(.misuse, 5, "pending proposals must be committed before sending")
    /// The identity's signature key is not the one in the leaf or key package.
    public static let identityMismatch = Code(.misuse, 6, "the identity does not fit the leaf or key package")
    /// The two parts of a saved state are not of the same moment or the same group.
    public static let stateMismatch = Code(.misuse, 7, "the parts of the saved state do not fit together")
    /// A value given by the caller is out of its bounds.
    public static let outOfBounds = Code(.misuse, 8, "a value is out of its bounds")
    /// The own ratchet has come to its last generation: commit to begin a new epoch.
    public static let ratchetExhausted = Code(.misuse, 9, "the own ratchet has no generation left")
    /// No ReInit has ended the group, so it has no successor.
    public static let notReInitialised = Code(.misuse, 12, "the group was not ended by a ReInit")
    /// The key is not among the group's external senders.
    public static let notExternalSender = Code(.misuse, 13, "the key is not one of the group's external senders")

    /// The saved state was written by another version of this library than those that it can read.
    public static let stateVersion = Code(.misuse, 18, "the saved state is of a version that is not known")

    // MARK: Rejected

    /// The bytes are not an encoding of what was expected.
    public static let malformed = Code(.rejected, 32, "the encoding is malformed")
    /// The protocol version or wire format is not known.
    public static let unsupported = Code(.rejected, 33, "the version, format or type is not supported")
    /// The message is for another group.
    public static let wrongGroup = Code(.rejected, 34, "the message is for another group")
    /// The message is of an epoch that this client has not reached: fetch what is missing, then try again.
    public static let futureEpoch = Code(.rejected, 35, "the message is of a later epoch")
    /// The message is of an epoch whose keys are gone.
    public static let epochTooOld = Code(.rejected, 36, "the message is of an epoch whose keys are erased")
    /// A proposal or commit of an epoch that is over.
    public static let staleHandshake = Code(.rejected, 37, "the handshake message is of a past epoch")
    /// The key was used before (a replay), or its window has passed.
    public static let keyConsumed = Code(.rejected, 38, "the message's key has been used or erased")
    /// The generation is further ahead than the limit.
    public static let forwardDistanceExceeded = Code(.rejected, 39, "the generation is too far ahead")
    /// The sender is not a member.
    public static let unknownSender = Code(.rejected, 40, "the sender is not a member")
    /// The message is one of our own.
    public static let ownMessage = Code(.rejected, 41, "the message is our own")
    /// Decryption failed: the message was damaged or forged.
    public static let decryptionFailed = Code(.rejected, 42, "the message cannot be decrypted")
    /// A signature does not verify.
    public static let badSignature = Code(.rejected, 43, "a signature does not verify")
    /// A membership or confirmation tag does not verify.
    public static let badTag = Code(.rejected, 44, "a tag does not verify")
    /// A proposal that is referred to was not received: fetch it, then try again.
    public static let unknownProposal = Code(.rejected, 45, "a proposal that is referred to is not known")
    /// A pre-shared key that is needed is not known.
    public static let unknownPSK = Code(.rejected, 46, "a pre-shared key is not known")
    /// The welcome is not for the given key package.
    public static let notForUs = Code(.rejected, 47, "the welcome is not for this key package")
    /// The ratchet tree is neither in the welcome nor given.
    public static let missingTree = Code(.rejected, 48, "the ratchet tree is missing")
    /// Handshakes as PublicMessage are not accepted by the group's policy.
    public static let publicHandshake = Code(.rejected, 49, "a member's handshake must be a PrivateMessage")
    /// More proposals than the policy keeps have come in one epoch: commit to begin a new one.
    public static let tooManyProposals = Code(.rejected, 50, "too many proposals wait for a commit")
    /// The application's ``CredentialValidator`` refuses a credential: drop the message, or learn more about who it is
    /// from and receive it again.
    public static let credentialRefused = Code(.rejected, 51, "a credential is refused")
    /// The input breaks a numbered rule of RFC 9420; see docs/validation.md.
    public static func rule(_ rule: Rule) -> Code {
      Code(.rejected, 64, "a validation rule is broken", rule: rule)
    }

    // MARK: Fault

    /// A primitive failed where it cannot, or an invariant does not hold.
    public static let fault = Code(.fault, 96, "an internal invariant does not hold")

    public static func == (left: Code, right: Code) -> Bool {
      left.number == right.number && left.rule == right.rule
    }
    public func hash(into hasher: inout Hasher) {
      hasher.combine(number)
      hasher.combine(rule)
    }
    public var description: String { rule.map { "\(text) [\($0)]" } ?? "\(text)" }
  }

  public let code: Code
  public let file: StaticString
  public let line: UInt

  public init(_ code: Code, file: StaticString = #fileID, line: UInt = #line) {
    self.code = code
    self.file = file
    self.line = line
  }

  public var family: Family { code.family }
  public var rule: Rule? { code.rule }

  static func rejected(_ rule: Rule, file: StaticString = #fileID, line: UInt = #line) -> MLSError {
    MLSError(.rule(rule), file: file, line: line)
  }

  public static func == (left: MLSError, right: MLSError) -> Bool { left.code == right.code }
  public var description: String { "\(code) (\(file):\(line))" }
}

extension Rule {
  /// Throws this rule as an error unless `holds`.
  func require(_ holds: Bool, file: StaticString = #fileID, line: UInt = #line) throws(MLSError) {
    guard holds else { throw MLSError.rejected(self, file: file, line: line) }
  }
}
