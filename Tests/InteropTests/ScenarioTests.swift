import CryptoPrimitives
import Testing

@testable import mls_interop

/// Several clients in processes of their own play every scenario with each other.
@Suite struct ScenarioTests {
  /// Each suite with both ways to send handshakes and to deliver trees; the two suites without OpenSSL's curves with all
  /// four combinations.
  static let settings = CipherSuite.supported.map(\.rawValue).sorted().flatMap { suite in
    let all = [(true, false), (false, true), (true, true), (false, false)]
    return all.prefix([1, 3].contains(suite) ? 4 : 2).map { isEncrypted, isTreeApart in
      Stage.Setting(suite: suite, isEncrypted: isEncrypted, isTreeApart: isTreeApart)
    }
  }

  @Test(arguments: settings)
  func clientsPlayTogether(_ setting: Stage.Setting) throws {
    // One of them saves and restores all that it has before each call.
    let pool = [try InteropProcess(), try InteropProcess(["--reload"]), try InteropProcess()]
    for process in pool {
      let suites = try process.call("supported_ciphersuites")["ciphersuites"]
      #expect(suites == .list(CipherSuite.supported.map { .number(UInt64($0.rawValue)) }))
    }
    for scenario in Scenario.all {
      do { try scenario.play(Stage(setting, pool)) } catch { Issue.record("\(scenario.name): \(error)") }
    }
  }
}
