import CryptoPrimitives
import Foundation
import Testing

/// The examples that RFC 7515 (appendices A.2 and A.3) and RFC 8037 (appendix A.4) give, and what is next to them.
struct JWSKeyTests {
  static func bytes(_ text: some StringProtocol) -> [UInt8] {
    var text = String(text).replacing("-", with: "+").replacing("_", with: "/")
    text += String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    return Data(base64Encoded: text).map { Array($0) } ?? []
  }

  struct Example: Sendable {
    let key: JWSKey
    let message: [UInt8]
    let signature: [UInt8]

    init(_ key: JWSKey, _ token: String) {
      let parts = token.split(separator: ".")
      (self.key, message) = (key, Array("\(parts[0]).\(parts[1])".utf8))
      signature = JWSKeyTests.bytes(parts[2])
    }
  }

  static let claims =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

  static let modulus = bytes(
    """
    ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS\
    -pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsm\
    tdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ
    """)

  static func examples() throws -> [Example] {
    [
      Example(
        try JWSKey(ed25519: bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
        """
        eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVv\
        pAr_MuM0KAg
        """),
      Example(
        try JWSKey(
          p256: bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
          bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")),
        """
        eyJhbGciOiJFUzI1NiJ9.\(claims).DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q
        """),
      Example(
        try JWSKey(rsaModulus: modulus, exponent: [1, 0, 1]),
        """
        eyJhbGciOiJSUzI1NiJ9.\(claims).cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9u\
        JdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi1\
        2jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw
        """),
    ]
  }

  @Test func takesThePublishedExamples() throws {
    let examples = try Self.examples()
    #expect(examples.map(\.key.algorithm) == JWSKey.Algorithm.allCases)
    for example in examples {
      #expect(example.key.isValidSignature(example.signature, for: example.message), "\(example.key.algorithm)")
    }
  }

  @Test func refusesWhatIsNextToThem() throws {
    let examples = try Self.examples()
    for example in examples {
      let name = "\(example.key.algorithm)"
      #expect(!example.key.isValidSignature(example.signature, for: example.message + [0]), "\(name)")
      for index in stride(from: 0, to: example.signature.count, by: 5) {
        var changed = example.signature
        changed[index] ^= 1
        #expect(!example.key.isValidSignature(changed, for: example.message), "\(name) at \(index)")
      }
      for other in [
        [], [0], Array(example.signature.dropLast()), example.signature + [0], [0] + example.signature,
        [UInt8](repeating: 0, count: example.signature.count), [UInt8](repeating: 0xff, count: example.signature.count),
        [UInt8](repeating: 0, count: 64), [UInt8](repeating: 0, count: 63) + [1],
      ] { #expect(!example.key.isValidSignature(other, for: example.message), "\(name)") }
      for other in examples where other.key.algorithm != example.key.algorithm {
        #expect(!example.key.isValidSignature(other.signature, for: other.message))
      }
    }
    // r or s of zero, or of the curve's order: what some libraries once took for any message.
    let order = bytes("/////wAAAAD//////////7zm+q2nF56E87nKwvxjJVE")
    let point = examples[1]
    #expect(order.count == 32)
    for r in [[UInt8](repeating: 0, count: 32), order, Array(point.signature.prefix(32))] {
      for s in [[UInt8](repeating: 0, count: 32), order] {
        #expect(!point.key.isValidSignature(r + s, for: point.message))
        #expect(!point.key.isValidSignature(s + r, for: point.message))
      }
    }
  }

  private func bytes(_ text: String) -> [UInt8] { Self.bytes(text) }

  @Test func refusesKeysThatAreNone() throws {
    let invalid = #expect(throws: CryptoError.self) { try JWSKey(ed25519: [UInt8](repeating: 1, count: 31)) }
    #expect(invalid?.code == .invalidPublicKey)
    func isPoint(_ x: [UInt8], _ y: [UInt8]) -> Bool { (try? JWSKey(p256: x, y)) != nil }
    let x = bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
    let y = bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
    #expect(isPoint(x, y) && !isPoint(y, x) && !isPoint(x, x))
    #expect(!isPoint(Array(x.dropLast()), y) && !isPoint(x + [0], y) && !isPoint([], []))
    let zero = [UInt8](repeating: 0, count: 32)
    #expect(!isPoint(zero, zero))

    func isKey(_ modulus: [UInt8], _ exponent: [UInt8] = [1, 0, 1]) -> Bool {
      (try? JWSKey(rsaModulus: modulus, exponent: exponent)) != nil
    }
    let modulus = Self.modulus
    #expect(isKey(modulus) && isKey(modulus, [0x80, 0, 0, 1]))
    for exponent: [UInt8] in [
      [], [0], [1], [3], [17], [1, 0, 0], [1, 0, 2], [0, 1, 0, 1], [0, 0xff, 0xff], [1, 0, 0, 0, 1],
    ] {
      #expect(!isKey(modulus, exponent), "\(exponent)")
    }
    #expect(!isKey([]) && !isKey([0] + modulus) && !isKey(modulus.dropLast() + [0]))
    #expect(!isKey(Array(modulus.dropLast(128)) + [1]), "1024 bits")
    // 2047 bits, and one more than 8192.
    #expect(!isKey([0x7f] + modulus.dropFirst()))
    #expect(isKey([UInt8](repeating: 0xff, count: 1024)) && !isKey([1] + [UInt8](repeating: 0xff, count: 1024)))
  }
}
