import CryptoPrimitives
import Foundation
import Testing

/// Keys and signatures that OpenSSL's command line makes and checks, where it is installed.
@Suite struct OpenSSLCommandTests {
  private struct Tool {
    let folder: URL
    private static let program = "/usr/bin/openssl"

    init?() throws {
      guard FileManager.default.isExecutableFile(atPath: Self.program) else {
        print("SKIPPED: no openssl command; nothing was compared with it")
        return nil
      }
      folder = FileManager.default.temporaryDirectory.appendingPathComponent("kin-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Runs `openssl` with the words of `command` and returns its output, or nil if it refuses.
    @discardableResult
    func run(_ command: String) throws -> [UInt8]? {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: Self.program)
      process.arguments = command.split(separator: " ").map(String.init)
      process.currentDirectoryURL = folder
      let output = Pipe()
      process.standardOutput = output
      process.standardError = FileHandle.nullDevice
      try process.run()
      let data = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      return process.terminationStatus == 0 ? [UInt8](data) : nil
    }

    func write(_ bytes: [UInt8], _ name: String) throws {
      try Data(bytes).write(to: folder.appendingPathComponent(name))
    }
  }

  /// How the command makes such a key, signs and verifies.
  private static func words(_ scheme: SignatureScheme) -> (generate: String, digest: String?) {
    switch scheme {
    case .ecdsaSecp256r1SHA256: ("EC -pkeyopt ec_paramgen_curve:P-256", "sha256")
    case .ecdsaSecp384r1SHA384: ("EC -pkeyopt ec_paramgen_curve:P-384", "sha384")
    case .ecdsaSecp521r1SHA512: ("EC -pkeyopt ec_paramgen_curve:P-521", "sha512")
    case .ed25519: ("ED25519", nil)
    case .ed448: ("ED448", nil)
    }
  }

  @Test(arguments: SignatureScheme.allCases)
  func agreesWithTheOpenSSLCommand(scheme: SignatureScheme) throws {
    guard let tool = try Tool() else { return }
    defer { try? FileManager.default.removeItem(at: tool.folder) }
    let (generate, digest) = Self.words(scheme)
    try #require(try tool.run("genpkey -algorithm \(generate) -out key.pem") != nil)
    try #require(try tool.run("pkey -in key.pem -pubout -out public.pem") != nil)
    // A public key in DER ends in its point; a private one holds its number or seed after a header of known length.
    let publicDER = try #require(try tool.run("pkey -in key.pem -pubout -outform DER"))
    let publicKey = Array(publicDER.suffix(scheme.publicKeySize))
    let privateDER = try #require(try tool.run("pkey -in key.pem -outform DER"))
    let header: [UInt8] =
      digest == nil ? [4, UInt8(scheme.privateKeySize)] : [2, 1, 1, 4, UInt8(scheme.privateKeySize)]
    let start = try #require(
      privateDER.indices.first {
        privateDER[$0...].starts(with: header) && $0 + header.count + scheme.privateKeySize <= privateDER.count
      })
    let seed = privateDER[(start + header.count)...].prefix(scheme.privateKeySize)
    let key = try SigningKey(scheme: scheme, seed: Secret(copying: Array(seed)))
    #expect(key.publicKey == publicKey)

    let message = Random.bytes(77)
    try tool.write(message, "message")
    let sign = digest.map { "dgst -\($0) -sign key.pem message" } ?? "pkeyutl -sign -rawin -inkey key.pem -in message"
    let theirs = try #require(try tool.run(sign))
    #expect(scheme.verify(publicKey: publicKey, message: message, signature: theirs))
    #expect(!scheme.verify(publicKey: publicKey, message: message + [0], signature: theirs))

    let verify =
      digest.map { "dgst -\($0) -verify public.pem -signature signature message" }
      ?? "pkeyutl -verify -rawin -pubin -inkey public.pem -sigfile signature -in message"
    try tool.write(try key.sign(message), "signature")
    #expect(try tool.run(verify) != nil)
    try tool.write(try key.sign(message + [0]), "signature")
    #expect(try tool.run(verify) == nil)
  }
}
