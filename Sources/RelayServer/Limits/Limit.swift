/// The table of limits: how often who may do what. Each row is a bucket of tokens for each whom it concerns.
package enum Limit: String, CaseIterable, Sendable {
  case registrations
  case failedLogins = "failed-logins"
  case failedLoginsOfName = "failed-logins-of-name"
  case claims
  case claimsOfPair = "claims-of-pair"
  case claimsOfTarget = "claims-of-target"
  case joinCodes = "join-codes"
  case joinCodesOfAddress = "join-codes-of-address"
  case contactRequests = "contact-requests"
  case sends
  case sendsOfDevice = "sends-of-device"
  case sendsOfRoom = "sends-of-room"
  case kilobytes
  case kilobytesOfRoom = "kilobytes-of-room"

  /// What holds if nothing is set.
  var standard: Rate {
    switch self {
    case .registrations: Rate(burst: 2000, count: 60, period: .minute)
    // By name and address, so that a guesser does not lock the owner out; by name alone far more widely, so that many
    // addresses together do not get far at one account either.
    case .failedLogins: Rate(burst: 10, count: 6, period: .minute)
    case .failedLoginsOfName: Rate(burst: 200, count: 12, period: .minute)
    // One-time key packages are the target's supply; whoever drains it weakens others' invitations.
    case .claims: Rate(burst: 1000, count: 10, period: .second)
    case .claimsOfPair: Rate(burst: 30, count: 6, period: .minute)
    case .claimsOfTarget: Rate(burst: 1000, count: 120, period: .minute)
    // Beside what the store counts for each account and for all.
    case .joinCodes: Rate(burst: 20, count: 1, period: .minute)
    case .joinCodesOfAddress: Rate(burst: 60, count: 3, period: .minute)
    case .contactRequests: Rate(burst: 50, count: 1, period: .minute)
    case .sends: Rate(burst: 20_000, count: 2000, period: .second)
    case .sendsOfDevice: Rate(burst: 10_000, count: 1000, period: .second)
    case .sendsOfRoom: Rate(burst: 40_000, count: 4000, period: .second)
    case .kilobytes: Rate(burst: 262_144, count: 16_384, period: .second)
    case .kilobytesOfRoom: Rate(burst: 1_048_576, count: 65_536, period: .second)
    }
  }

  var documentation: String {
    switch self {
    case .registrations: "New accounts from one address (an IPv6 /64)."
    case .failedLogins: "Failed logins as one name from one address."
    case .failedLoginsOfName: "Failed logins as one name from all addresses."
    case .claims: "Claims of key packages by one account."
    case .claimsOfPair: "Claims of one account's key packages by one other."
    case .claimsOfTarget: "Claims of one account's key packages by all others."
    case .joinCodes: "Join codes that one device tries."
    case .joinCodesOfAddress: "Join codes that are tried from one address."
    case .contactRequests: "Contact requests by one account."
    case .sends: "Messages and commits of one account, over all its sockets and requests."
    case .sendsOfDevice: "Messages and commits of one device."
    case .sendsOfRoom: "Messages and commits to one room."
    case .kilobytes: "KiB that one account sends."
    case .kilobytesOfRoom: "KiB that are sent to one room."
    }
  }

  var kind: LimitKind {
    switch self {
    case .registrations: .registrations
    case .failedLogins, .failedLoginsOfName: .logins
    case .claims, .claimsOfPair, .claimsOfTarget: .claims
    case .joinCodes, .joinCodesOfAddress: .codes
    case .contactRequests: .contacts
    case .sends, .sendsOfDevice, .sendsOfRoom: .sends
    case .kilobytes, .kilobytesOfRoom: .bytes
    }
  }
}

/// So many at once, and so many in the long run.
package struct Rate: Sendable, Equatable, CustomStringConvertible {
  enum Period: Character, CaseIterable {
    case second = "s"
    case minute = "m"
    case hour = "h"
    case day = "d"

    var seconds: Double {
      switch self {
      case .second: 1
      case .minute: 60
      case .hour: 3600
      case .day: 86_400
      }
    }
  }

  let burst: Int
  let count: Int
  let period: Period

  init(burst: Int, count: Int, period: Period) { (self.burst, self.count, self.period) = (burst, count, period) }

  var perSecond: Double { Double(count) / period.seconds }

  /// Reads `BURST+COUNT/s`, with `m`, `h` or `d` for longer periods.
  package init?(_ text: String) {
    let parts = text.split(separator: "+", omittingEmptySubsequences: false)
    guard parts.count == 2, let burst = Int(parts[0]), (1...1_000_000_000).contains(burst) else { return nil }
    let rate = parts[1].split(separator: "/", omittingEmptySubsequences: false)
    guard rate.count == 2, let count = Int(rate[0]), (1...1_000_000_000).contains(count), rate[1].count == 1,
      let period = rate[1].first.flatMap(Period.init(rawValue:))
    else { return nil }
    self.init(burst: burst, count: count, period: period)
  }

  package var description: String { "\(burst)+\(count)/\(period.rawValue)" }
}
