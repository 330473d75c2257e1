import Glibc
import Observability
import RelayServer

/// What ties the relay to its process.
enum Process {
  static func serve(_ configuration: RelayConfiguration) async -> Int32 {
    // A file that may not grow is a full disk, not a reason to die.
    signal(SIGXFSZ, SIG_IGN)
    OpenFiles.raise()
    do {
      // Before the first event loop, which cannot be without them.
      _ = try OpenFiles.connections(configuration)
    } catch { return complain(of: error) }
    LogSink.standard.level = configuration.logLevel
    LogSink.standard.format = configuration.logFormat
    // Before the relay listens: a signal that comes early must not be lost.
    let orders = Relay.orders()
    let relay = Relay(configuration: configuration)
    do {
      try await relay.start()
    } catch {
      return complain(of: error)
    }
    let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
    print("listening on \(host):\(relay.port)")
    if let metrics = configuration.metricsAddress {
      print("metrics on \(ListenAddress(host: metrics.host, port: relay.metricsPort))")
    }
    // Whoever started this may read the line through a pipe.
    fflush(nil)
    for await order in orders {
      if order == .stop { break }
      relay.reload()
    }
    // A second signal ends the wait.
    await relay.drain { for await order in orders where order == .stop { break } }
    await relay.shutdown()
    return 0
  }

  /// Says why the relay cannot start. Returns the exit code that goes with it.
  private static func complain(of error: RelayError) -> Int32 {
    complain("relay-server: error: \(error.title)\n")
    if let remedy = error.remedy { complain("hint: \(remedy)\n") }
    return error.isOurFault ? 2 : 3
  }

  /// Ends the process unless the files that the settings name can be used and are as closed as they must be.
  static func requireFiles(of configuration: RelayConfiguration) {
    let findings = configuration.fileFindings
    guard findings.isEmpty else { refuse(findings) }
  }

  /// Says all that has to be mended before anything can be done, and ends the process.
  static func refuse(_ mistakes: [ConfigurationError.Mistake]) -> Never {
    for mistake in mistakes {
      complain(
        "relay-server: error: \(mistake.text)\nhint: \(mistake.hint ?? "relay-server help lists the settings")\n")
    }
    if mistakes.count > 1 { complain("relay-server: \(mistakes.count) mistakes; nothing was done\n") }
    exit(1)
  }

  static var environment: [String: String] {
    var result: [String: String] = [:]
    var item = environ
    while let text = item.pointee {
      let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
      item += 1
    }
    return result
  }

  /// The text of a file of at most 1 MiB, or `nil`.
  static func text(ofFile path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    guard ferror(file) == 0, count < bytes.count else { return nil }
    return String(validating: bytes.prefix(count), as: UTF8.self)
  }

  static func complain(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
