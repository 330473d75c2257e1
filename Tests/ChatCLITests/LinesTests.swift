import ChatSDK
import Testing

@testable import chat_cli

/// What people read is in words, and what they are told to do can be done.
@Suite struct LinesTests {
  @Test func connectionsAreInWords() {
    let lines = [ConnectionState.offline, .connecting, .live, .polling, .loggedOut].map { Lines.event(.connection($0)) }
    #expect(
      lines == [
        "* offline: what you send goes out when the relay can be reached again", "* connecting", "* connected",
        "* connected, by long polls", "* logged out: the session of this device is over",
      ])
    // And the remedy, which follows because `chat` and `watch` end by it.
    #expect(Failure(ChatError(.sessionEnded)).hint?.contains("`chat-cli login`") == true)
  }

  @Test func remediesNameCommandsAndOptionsThatExist() throws {
    let options = Set((Command.all.flatMap(\.options) + Command.common).map { "--" + $0.name })
    for (code, hint) in Failure.remedies {
      let quoted = hint.split(separator: "`", omittingEmptySubsequences: false)
      for (index, part) in quoted.enumerated() where index % 2 == 1 {
        let words = part.split(separator: " ").map(String.init)
        #expect(words.first == "chat-cli" && (try? Command.find(Array(words.dropFirst()))) != nil, "\(code): \(hint)")
      }
      let named = hint.split { " `,".contains($0) }.filter { $0.hasPrefix("--") }
      #expect(named.allSatisfy { options.contains(String($0)) }, "\(code): \(hint)")
    }
  }
}
