/// Why bytes are not a value of the expected type.
///
/// Two errors are equal if their codes are; the place is for people. Nothing of the input is kept, so an error is safe
/// to log. The caller's remedy is always the same: refuse the input.
public struct WireError: Error, Equatable, Sendable, CustomStringConvertible {
  public struct Code: Hashable, Sendable {
    let text: StaticString
    let number: UInt8

    /// The input ends before the value does.
    public static let truncated = Code(text: "the input ends too early", number: 1)
    /// Bytes remain after the value.
    public static let leftover = Code(text: "bytes remain after the value", number: 2)
    /// A length prefix begins with the reserved bits `11` (RFC 9420 section 2.1.2).
    public static let invalidLength = Code(text: "a length has the reserved prefix", number: 3)
    /// A length is not in its shortest form.
    public static let nonMinimalLength = Code(text: "a length is not in its shortest form", number: 4)
    /// A vector is longer than its bound.
    public static let tooLong = Code(text: "a vector is longer than its bound", number: 5)
    /// A field has a value that its type does not allow.
    public static let invalidValue = Code(text: "a field has an impossible value", number: 6)
    /// A value is of a type whose form this build does not know, so that nothing behind it can be read either.
    public static let unknownType = Code(text: "a value is of an unknown type", number: 7)

    public static func == (left: Code, right: Code) -> Bool { left.number == right.number }
    public func hash(into hasher: inout Hasher) { hasher.combine(number) }
  }

  public let code: Code
  public let file: StaticString
  public let line: UInt

  public init(_ code: Code, file: StaticString = #fileID, line: UInt = #line) {
    self.code = code
    self.file = file
    self.line = line
  }

  public static func == (left: WireError, right: WireError) -> Bool { left.code == right.code }
  public var description: String { "\(code.text) (\(file):\(line))" }
}
