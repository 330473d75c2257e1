import Glibc

/// What a signal that ends the program while a secret is typed has to restore. Written before the handler is set.
///
/// Behind a pointer: for a global that holds a `termios` itself the compiler sets aside three bytes less than it writes, since
/// it leaves out the padding within.
nonisolated(unsafe) private var hiddenTerminal: (descriptor: Int32, shown: UnsafeMutablePointer<termios>?) = (-1, nil)

/// Restores the echo, then lets the signal do what it does. Calls only what a signal handler may.
private let showAgainAndEnd: @convention(c) (Int32) -> Void = { number in
  if let shown = hiddenTerminal.shown { tcsetattr(hiddenTerminal.descriptor, TCSANOW, shown) }
  signal(number, SIG_DFL)
  raise(number)
}

/// The terminal, standard input and standard error. Standard output belongs to ``Output``.
enum Terminal {
  static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Writes to a descriptor, all of it; a reader that went away ends the program as it would end `cat`.
  static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        exit(errno == EPIPE && descriptor == STDOUT_FILENO ? ExitCode.done.rawValue : ExitCode.bug.rawValue)
      }
      rest = rest.dropFirst(count)
    }
  }

  static func diagnose(_ text: String) { write(SafeText.lines(text) + "\n", to: STDERR_FILENO) }

  /// Asks on the terminal itself, so that pipes stay free, without showing what is typed.
  static func askSecret(_ prompt: String) throws(Failure) -> [UInt8] {
    let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC)
    guard terminal >= 0 else { throw Failure.usage("there is no terminal to ask on", hint: noTerminalHint) }
    defer { close(terminal) }
    var shown = termios()
    guard tcgetattr(terminal, &shown) == 0 else {
      throw Failure.usage("there is no terminal to ask on", hint: noTerminalHint)
    }
    // Never freed: a signal may come at any time.
    let kept = hiddenTerminal.shown ?? .allocate(capacity: 1)
    kept.initialize(to: shown)
    hiddenTerminal = (terminal, kept)
    let signals = [SIGINT, SIGTERM, SIGHUP]
    for number in signals { signal(number, showAgainAndEnd) }
    defer { for number in signals { signal(number, SIG_DFL) } }
    var hidden = shown
    hidden.c_lflag &= ~tcflag_t(ECHO)
    guard tcsetattr(terminal, TCSAFLUSH, &hidden) == 0 else {
      throw Failure.usage("the terminal would show what is typed", hint: noTerminalHint)
    }
    // Only now: whoever answers at once, or pastes, must find the echo off.
    write(prompt, to: terminal)
    defer {
      tcsetattr(terminal, TCSAFLUSH, &shown)
      write("\n", to: terminal)
    }
    return try readSecret(from: terminal)
  }

  private static let noTerminalHint = "give it by a file or a descriptor: see `chat-cli help secrets`"

  /// Reads the first line of a descriptor: at most so many bytes, without its line feed.
  static func readSecret(from descriptor: Int32, limit: Int = 4096) throws(Failure) -> [UInt8] {
    var secret: [UInt8] = []
    // Not made larger while it is read: what is left behind would not be wiped.
    secret.reserveCapacity(limit + 1)
    var byte: UInt8 = 0
    while secret.count <= limit {
      let count = read(descriptor, &byte, 1)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw Failure.usage("a secret could not be read from its file or descriptor") }
      if count == 0 || byte == UInt8(ascii: "\n") { return secret }
      secret.append(byte)
    }
    throw Failure.usage("a secret is longer than \(limit) bytes")
  }

  static func readSecret(file path: String, limit: Int = 4096) throws(Failure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure.usage("the file that should hold a secret cannot be opened") }
    defer { close(descriptor) }
    return try readSecret(from: descriptor, limit: limit)
  }

  /// All of standard input, up to `limit` bytes.
  static func readInput(limit: Int) throws(Failure) -> [UInt8] {
    var input: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(STDIN_FILENO, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw Failure.usage("standard input cannot be read") }
      if count == 0 { return input }
      input += buffer[0..<count]
      guard input.count <= limit else { throw Failure.usage("the message is longer than \(limit) bytes") }
    }
  }
}
