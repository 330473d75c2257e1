import Testing

@testable import chat_cli

@Suite struct ArgumentsTests {
  private let options = [Option("limit", value: "N", ""), Option("json", "")]

  @Test func optionsStandAnywhere() throws {
    let arguments = try Arguments(["a", "--json", "--limit=5", "b", "--", "--json"], options: options)
    #expect(arguments.positional == ["a", "b", "--json"])
    #expect(arguments.has("json"))
    #expect(arguments["limit"] == "5")
    #expect(try arguments.number("limit", in: 1...9) == 5)
  }

  @Test func aHyphenAloneIsAnArgument() throws {
    #expect(try Arguments(["room", "-"], options: options).positional == ["room", "-"])
  }

  @Test(arguments: [["--limt", "5"], ["--limit"], ["--json=yes"], ["--password", "x"], ["-x"]])
  func refuses(_ words: [String]) {
    #expect(throws: Failure.self) { try Arguments(words, options: options) }
  }

  @Test func numbersAreBounded() throws {
    for text in ["0", "10", "x", "99999999999999999999", "-1", ""] {
      let arguments = try Arguments(["--limit=\(text)"], options: options)
      #expect(throws: Failure.self) { try arguments.number("limit", in: 1...9) }
    }
  }

  @Test func commandsAreFoundByTheirLongestName() throws {
    #expect(try Command.find(["room", "create", "Garden"]).0.name == "room create")
    #expect(try Command.find(["rooms"]).0.name == "rooms")
    for words in [["room"], ["room", "paint"], ["sned"], [""]] {
      #expect(throws: Failure.self) { try Command.find(words) }
    }
  }

  @Test func aSlipIsUnderstood() {
    #expect(Suggestion.nearest(to: "sned", in: ["send", "rooms"]) == "send")
    #expect(Suggestion.distance("kitten", "sitting") == 3)
    #expect(Suggestion.nearest(to: "histroy", in: ["history", "send"]) == "history")
    #expect(Suggestion.nearest(to: "zzzzzz", in: ["history", "send"]) == nil)
  }

  @Test func noOptionTakesASecret() {
    // Whatever takes a secret takes the place where it lies: a file or a descriptor.
    for command in Command.all {
      for option in command.options + Command.common where option.value != nil {
        let isSecret = option.name.contains("pass") || option.name.contains("key") || option.name.contains("token")
        #expect(!isSecret || option.name.hasSuffix("-file") || option.name.hasSuffix("-fd"), "\(option.name)")
      }
    }
  }

  @Test func namesAndOptionsAreUnique() {
    #expect(Set(Command.all.map(\.name)).count == Command.all.count)
    for command in Command.all {
      let names = (command.options + Command.common).map(\.name)
      #expect(Set(names).count == names.count, "\(command.name)")
    }
  }
}
