import CryptoPrimitives
import E2ECrypto
import Glibc

/// All that the client has: memberships, key packages on their way, groups waiting for their successor, and signers. Their
/// numbers are of one sequence, so none stands for two things.
final class Client {
  /// A key package that was handed out.
  struct Joining {
    let bundle: KeyPackageBundle
    let identity: ClientIdentity
    var psks: [ExternalPSK] = []
  }

  /// A group that a ReInit has ended, and the key package that was made for the one after it.
  struct Successor {
    let member: Membership
    var joining: Joining
  }

  struct Signer {
    let key: SigningKey
  }

  /// Whether a group is saved and restored before each call that uses it, as if the client had been started anew.
  private let reloads: Bool
  private var lastID: UInt32 = 0
  private var members: [UInt32: Membership] = [:]
  private var joinings: [UInt32: Joining] = [:]
  private var successors: [UInt32: Successor] = [:]
  private var signers: [UInt32: Signer] = [:]

  init(reloads: Bool) { self.reloads = reloads }

  // MARK: What there is

  private func newID() throws -> UInt32 {
    let (id, isOver) = lastID.addingReportingOverflow(1)
    guard !isOver else { throw Failure(.resourceExhausted, "all numbers are taken") }
    lastID = id
    return id
  }

  func add(_ member: Membership) throws -> UInt32 {
    let id = try newID()
    members[id] = member
    return id
  }

  func add(_ joining: Joining) throws -> UInt32 {
    let id = try newID()
    joinings[id] = joining
    return id
  }

  func add(_ successor: Successor) throws -> UInt32 {
    let id = try newID()
    successors[id] = successor
    return id
  }

  func add(_ signer: Signer) throws -> UInt32 {
    let id = try newID()
    signers[id] = signer
    return id
  }

  func member(_ params: Params) throws -> Membership {
    guard let found = members[try params.id("state_id")] else { throw Failure(.notFound, "there is no such state") }
    if reloads { try found.reload() }
    return found
  }

  func joining(_ params: Params) throws -> Joining {
    guard let found = joinings[try params.id("transaction_id")] else {
      throw Failure(.notFound, "there is no such transaction")
    }
    return found
  }

  func successor(_ params: Params) throws -> Successor {
    guard let found = successors[try params.id("reinit_id")] else {
      throw Failure(.notFound, "there is no such reinit")
    }
    if reloads { try found.member.reload() }
    return found
  }

  func signer(_ params: Params) throws -> Signer {
    guard let found = signers[try params.id("signer_id")] else { throw Failure(.notFound, "there is no such signer") }
    return found
  }

  /// A key package is spent by joining.
  func spend(_ params: Params) throws { joinings[try params.id("transaction_id")] = nil }

  func forgetSuccessor(_ params: Params) throws { successors[try params.id("reinit_id")] = nil }

  func free(_ params: Params) throws -> [String: JSON] {
    _ = try member(params)
    members[try params.id("state_id")] = nil
    return [:]
  }

  func storePSK(_ params: Params) throws -> [String: JSON] {
    let id = try params.id("state_or_transaction_id")
    let psk = ExternalPSK(
      id: try params.bytes("psk_id"), secret: Secret(copying: try params.bytes("psk_secret")))
    if let member = members[id] {
      member.group.setPreSharedKey(psk)
    } else if joinings[id] != nil {
      joinings[id]?.psks.append(psk)
    } else if successors[id] != nil {
      successors[id]?.joining.psks.append(psk)
    } else {
      throw Failure(.notFound, "there is neither such a state nor such a transaction")
    }
    return [:]
  }

  // MARK: What the client makes for itself

  var now: Timestamp { Timestamp(secondsSinceEpoch: UInt64(max(0, time(nil)))) }

  var lifetime: Lifetime {
    let now = now.secondsSinceEpoch
    return Lifetime(
      notBefore: Timestamp(secondsSinceEpoch: now - min(now, 86_400)),
      notAfter: Timestamp(secondsSinceEpoch: now + 90 * 86_400))
  }

  var capabilities: Capabilities {
    Capabilities(cipherSuites: CipherSuite.supported.map(\.rawValue), credentials: [1, 2])
  }

  /// Others may have any lifetime, and any way to send their handshakes.
  func policy(encryptsHandshakes: Bool) -> GroupPolicy {
    var policy = GroupPolicy()
    policy.maxLifetime = .max
    policy.maxResumptionEpochs = 64
    policy.acceptsPublicHandshakes = true
    policy.sendsPublicHandshakes = !encryptsHandshakes
    return policy
  }

  func suite(_ params: Params) throws -> CipherSuite {
    guard let number = UInt16(exactly: try params.number("cipher_suite", as: UInt32.self)) else {
      throw Failure(.invalidArgument, "cipher_suite is not a number of 16 bits")
    }
    return CipherSuite(rawValue: number)
  }

  /// A new identity: a basic credential, and a key of its own.
  func identity(_ name: [UInt8], _ suite: CipherSuite) throws -> ClientIdentity {
    ClientIdentity(credential: .basic(identity: name), signingKey: .generate(try suite.algorithms().signature))
  }

  func makeJoining(_ name: [UInt8], _ suite: CipherSuite) throws -> Joining {
    let identity = try identity(name, suite)
    let bundle = try KeyPackageBundle.generate(
      suite: suite, identity: identity, capabilities: capabilities, lifetime: lifetime)
    return Joining(bundle: bundle, identity: identity)
  }
}
