import ChatSDK
import Glibc

/// Where a secret comes from: a file, a descriptor, or the terminal.
enum Secrets {
  /// Reads the secret that `--NAME-file`, `--NAME-fd` or else a question on the terminal gives.
  static func read(_ name: String, prompt: String, arguments: Arguments) throws(Failure) -> [UInt8] {
    if let given = try given(name, arguments: arguments) { return given }
    return try nonEmpty(Terminal.askSecret(prompt), name)
  }

  /// The same for a secret that is chosen now: on the terminal it is asked for twice.
  static func choose(_ name: String, prompt: String, arguments: Arguments) throws(Failure) -> [UInt8] {
    if let given = try given(name, arguments: arguments) { return given }
    let first = try nonEmpty(Terminal.askSecret(prompt), name)
    guard try Terminal.askSecret("once more: ") == first else { throw Failure.usage("the two entries differ") }
    return first
  }

  /// Passphrases and passwords are text: equal on every keyboard only if they are UTF-8.
  static func text(_ secret: [UInt8]) throws(Failure) -> String {
    guard let text = String(validating: secret, as: UTF8.self) else {
      throw Failure.usage("a secret is not UTF-8 text")
    }
    return text
  }

  static func given(_ name: String, arguments: Arguments) throws(Failure) -> [UInt8]? {
    if let path = arguments[name + "-file"] { return try nonEmpty(Terminal.readSecret(file: path), name) }
    if let descriptor = try arguments.number(name + "-fd", in: 0...1023) {
      return try nonEmpty(Terminal.readSecret(from: Int32(descriptor)), name)
    }
    return nil
  }

  /// The token of a single sign-on: the first line of the file that `--sso-token-file` names, of standard input if that is
  /// `-`, or of `--sso-token-fd`.
  static func signOnToken(_ arguments: Arguments) throws(Failure) -> SignOnToken? {
    let name = "sso-token"
    guard arguments[name + "-file"] != nil || arguments[name + "-fd"] != nil else { return nil }
    guard arguments["password-file"] == nil, arguments["password-fd"] == nil else {
      throw Failure.usage("a single sign-on token takes the place of a password: give one of them")
    }
    let line: [UInt8]
    if let path = arguments[name + "-file"], path != "-" {
      line = try Terminal.readSecret(file: path, limit: SignOnToken.maxBytes)
    } else {
      let descriptor = try arguments.number(name + "-fd", in: 0...1023) ?? 0
      line = try Terminal.readSecret(from: Int32(descriptor), limit: SignOnToken.maxBytes)
    }
    // What saves a token may have ended its line as Windows does.
    return SignOnToken(bytes: try nonEmpty(line.last == UInt8(ascii: "\r") ? line.dropLast() : line, name))
  }

  static let signOnOptions = [
    Option(
      "sso-token-file", value: "FILE", "the token of your team's single sign-on is the first line of FILE (- for stdin)"
    ),
    Option("sso-token-fd", value: "N", "the token is the first line of descriptor N"),
  ]

  private static func nonEmpty(_ secret: [UInt8], _ name: String) throws(Failure) -> [UInt8] {
    guard !secret.isEmpty else { throw Failure.usage("the \(name) is empty") }
    return secret
  }
}
