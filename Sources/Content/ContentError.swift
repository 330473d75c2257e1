/// Why bytes are not content that may be shown or sent. Two errors are equal if their codes are.
///
/// Received content that throws is recorded and not shown; nothing of it stands in the error, so it is safe to log.
public struct ContentError: Error, Equatable, Sendable, CustomStringConvertible {
  public struct Code: Hashable, Sendable {
    let text: StaticString
    let number: UInt8

    public static let truncated = Code(text: "the CBOR ends too early", number: 1)
    public static let leftover = Code(text: "bytes remain after the CBOR item", number: 2)
    /// Not the deterministic encoding of RFC 8949 section 4.2.1, which MIMI content must have.
    public static let notDeterministic = Code(text: "the CBOR is not in its deterministic form", number: 3)
    public static let malformed = Code(text: "the CBOR is malformed", number: 4)
    public static let tooDeep = Code(text: "the CBOR is nested too deeply", number: 5)
    public static let tooLarge = Code(text: "the content is too large", number: 6)
    /// Well-formed CBOR, yet not what draft-ietf-mimi-content describes.
    public static let notMIMI = Code(text: "the CBOR is not MIMI content", number: 7)

    public static func == (left: Code, right: Code) -> Bool { left.number == right.number }
    public func hash(into hasher: inout Hasher) { hasher.combine(number) }
  }

  public let code: Code
  public let file: StaticString
  public let line: UInt

  public init(_ code: Code, file: StaticString = #fileID, line: UInt = #line) {
    (self.code, self.file, self.line) = (code, file, line)
  }

  public static func == (left: ContentError, right: ContentError) -> Bool { left.code == right.code }
  public var description: String { "\(code.text) (\(file):\(line))" }
}
