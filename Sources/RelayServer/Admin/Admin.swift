import CryptoPrimitives
import FoundationEssentials
import RelayProtocol

/// What administrators do: the same whether it comes through the socket of a running relay or stands alone on its store.
///
/// Each act that changes something is in the audit log, in the same transaction as the change.
struct Admin: Sendable {
  let store: any RelayStore
  /// Whose sockets are to close hears it here; nobody where no relay runs.
  let bus: (any Bus)?
  let keys: TokenKeyRing
  /// How long a token of a replaced key may still be good for.
  let tokenLifetime: UInt64
  let now: @Sendable () -> UInt64

  /// Runs one command line for somebody.
  func answer(_ request: AdminRequest, actor: String) async -> AdminAnswer {
    do throws(SubcommandFailure) {
      let (verb, parameters) = try AdminVerb.find(request.words)
      let work = Work(admin: self, actor: actor, parameters: parameters, values: request.values)
      let rows = try await verb.body(work)
      return AdminAnswer(lines: rows.map { request.values["json"] == nil ? $0.text : $0.json })
    } catch {
      return AdminAnswer(failure: error)
    }
  }

  /// One command in work.
  struct Work: Sendable {
    let admin: Admin
    let actor: String
    let parameters: [String]
    let values: [String: String]

    var store: any RelayStore { admin.store }

    func record(_ act: String, _ subject: String) -> AuditRecord {
      AuditRecord(time: admin.now(), actor: actor, act: act, subject: subject)
    }

    /// The account of a name or an id.
    func account(_ text: String) async throws(SubcommandFailure) -> AccountRecord {
      do throws(RelayError) {
        if let user = UserID(text), let account = try await store.account(id: user) { return account }
        if let account = try await store.account(login: text.lowercased()) { return account }
      } catch { throw SubcommandFailure(error) }
      throw SubcommandFailure(
        "there is no such account", hint: "relay-server admin users list shows them",
        exitCode: SubcommandFailure.refused)
    }

    func number(_ name: String, default fallback: Int, in range: ClosedRange<Int>) throws(SubcommandFailure) -> Int {
      guard let text = values[name] else { return fallback }
      guard let number = Int(text), range.contains(number) else {
        throw SubcommandFailure(
          "--\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound)",
          exitCode: SubcommandFailure.usage)
      }
      return number
    }

    func ended(_ sessions: [UInt64]) {
      if !sessions.isEmpty { admin.bus?.publish(sessions.map { .sessionEnded($0) }) }
    }

    /// Turns the store's refusals into the command's.
    func run<T>(_ body: () async throws(RelayError) -> T) async throws(SubcommandFailure) -> T {
      do { return try await body() } catch { throw SubcommandFailure(error) }
    }
  }
}

/// What the command asks of a running relay.
struct AdminRequest: Codable, Sendable {
  var words: [String]
  var values: [String: String]
}

struct AdminAnswer: Codable, Sendable {
  var lines: [String] = []
  var error: String?
  var hint: String?
  var exitCode: Int32 = 0

  init(lines: [String]) { self.lines = lines }

  init(failure: SubcommandFailure) {
    (error, hint, exitCode) = (failure.text, failure.hint, failure.exitCode)
  }
}

/// One line of output: for people the values, for programs an object. Names of others hold no control characters, since
/// the relay takes none in; what may hold any is made printable.
struct AdminRow: Sendable {
  enum Value: Sendable {
    case text(String)
    case number(UInt64)
    /// In milliseconds; 0: never.
    case time(UInt64)
    case flag(Bool)
  }

  let fields: [(name: StaticString, value: Value)]

  init(_ fields: [(name: StaticString, value: Value)]) { self.fields = fields }

  var text: String {
    fields.map { field in
      switch field.value {
      case .text(let text): text.isEmpty ? "-" : RelayCommand.printable(text)
      case .number(let number): "\(number)"
      case .time(let time): Self.date(time)
      case .flag(let flag): flag ? "yes" : "no"
      }
    }.joined(separator: "\t")
  }

  var json: String {
    let members = fields.map { field in
      switch field.value {
      case .text(let text): "\"\(field.name)\":\(Self.quoted(text))"
      case .number(let number), .time(let number): "\"\(field.name)\":\(number)"
      case .flag(let flag): "\"\(field.name)\":\(flag)"
      }
    }
    return "{\"v\":1," + members.joined(separator: ",") + "}"
  }

  /// As 2026-11-21T18:01:49Z.
  private static func date(_ milliseconds: UInt64) -> String {
    guard milliseconds > 0 else { return "-" }
    return Date(timeIntervalSince1970: Double(milliseconds / 1000)).formatted(.iso8601)
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      if scalar.value >= 0x20, scalar.value < 0x7f, scalar != "\"", scalar != "\\" {
        result.unicodeScalars.append(scalar)
      } else {
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      }
    }
    return result + "\""
  }
}
