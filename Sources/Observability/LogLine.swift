/// The bytes of one line under construction.
///
/// Literals are escaped like anything else: a quotation mark in a message must not break a parser.
struct LogLine {
  private let format: LogFormat
  private var bytes: [UInt8] = []

  init(_ format: LogFormat) {
    self.format = format
    bytes.reserveCapacity(192)
  }

  mutating func add(_ key: StaticString, _ value: LogValue) {
    begin(key)
    switch value {
    case .signed(let number): append(number)
    case .unsigned(let number): append(number)
    case .boolean(let flag): append(flag ? "true" : "false")
    case .duration(let duration): appendSeconds(duration)
    case .code(let text): appendText(text)
    }
  }

  /// RFC 3339 in UTC with milliseconds.
  mutating func addTime(seconds: Int64, milliseconds: Int64) {
    begin("time")
    if format == .json { append("\"") }
    let (day, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
    let (year, month, dayOfMonth) = Self.date(daysSinceEpoch: day)
    appendDigits(year, 4)
    append("-")
    appendDigits(month, 2)
    append("-")
    appendDigits(dayOfMonth, 2)
    append("T")
    appendDigits(second / 3600, 2)
    append(":")
    appendDigits(second / 60 % 60, 2)
    append(":")
    appendDigits(second % 60, 2)
    append(".")
    appendDigits(milliseconds, 3)
    append("Z")
    if format == .json { append("\"") }
  }

  mutating func finish() -> [UInt8] {
    append(format == .json ? "}\n" : "\n")
    return bytes
  }

  private mutating func begin(_ key: StaticString) {
    switch format {
    case .text:
      if !bytes.isEmpty { append(" ") }
      append(key)
      append("=")
    case .json:
      append(bytes.isEmpty ? "{" : ",")
      appendQuoted(key)
      append(":")
    }
  }

  private mutating func append(_ text: StaticString) {
    if text.hasPointerRepresentation {
      bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    } else {
      bytes.append(contentsOf: String(text.unicodeScalar).utf8)
    }
  }

  private mutating func append(_ number: some FixedWidthInteger) {
    bytes.append(contentsOf: String(number).utf8)
  }

  /// Seconds with microseconds, without floating point.
  private mutating func appendSeconds(_ duration: Duration) {
    let parts = duration.components
    let isNegative = parts.seconds < 0 || parts.attoseconds < 0
    if isNegative { append("-") }
    append(parts.seconds.magnitude)
    append(".")
    appendDigits(Int64(parts.attoseconds.magnitude / 1_000_000_000_000), 6)
  }

  private mutating func appendDigits(_ number: Int64, _ width: Int) {
    let digits = String(number)
    for _ in 0..<max(0, width - digits.utf8.count) { append("0") }
    bytes.append(contentsOf: digits.utf8)
  }

  /// Bare where logfmt allows it, quoted elsewhere.
  private mutating func appendText(_ text: StaticString) {
    let isBare = text.description.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x3D && $0 != 0x5C }
    if format == .text && isBare && !text.description.isEmpty { append(text) } else { appendQuoted(text) }
  }

  private mutating func appendQuoted(_ text: StaticString) {
    append("\"")
    for byte in text.description.utf8 {
      switch byte {
      case 0x22: append("\\\"")
      case 0x5C: append("\\\\")
      case 0..<0x20, 0x7F:
        append("\\u00")
        for nibble in [byte >> 4, byte & 15] { bytes.append(nibble < 10 ? 0x30 + nibble : 0x57 + nibble) }
      default: bytes.append(byte)
      }
    }
    append("\"")
  }

  /// The proleptic Gregorian date of a day number, by counting in 400-year eras that begin on 1 March.
  static func date(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = daysSinceEpoch + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
  }
}
