@testable import mls_interop

/// A play for several clients: the ground that the working group's own scripts cover, in our own words.
struct Scenario: Sendable {
  let name: String
  let play: @Sendable (Stage) throws -> Void

  init(_ name: String, _ play: @escaping @Sendable (Stage) throws -> Void) {
    self.name = name
    self.play = play
  }

  static let all = joins + messages + commits + groups + outsiders + walks
}

extension Scenario {
  // MARK: Joining

  static let joins = [
    Scenario("welcome without path") { stage in
      try stage.create("ann")
      let add = try stage.add(by: "ann", try stage.keyPackage("ben"))
      try stage.commit(by: "ann", covering: [add], joiners: ["ben"])
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("welcome with path") { stage in
      try stage.create("ann")
      let add = try stage.add(by: "ann", try stage.keyPackage("ben"))
      try stage.commit(by: "ann", covering: [add], joiners: ["ben"], forcingPath: true)
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("welcome with key") { stage in
      try stage.create("ann")
      let add = try stage.add(by: "ann", try stage.keyPackage("ben"))
      let psk = try stage.installPSK(["ann", "ben"])
      try stage.commit(by: "ann", covering: [add, try stage.externalPSK(psk, by: "ann")], joiners: ["ben"])
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("external join") { stage in
      try stage.create("ann")
      try stage.externalJoin("ben", by: "ann")
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("external join with key") { stage in
      try stage.create("ann")
      let psk = try stage.installPSK(["ann"])
      try stage.externalJoin("ben", by: "ann", psks: [psk])
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("external join of one who was there") { stage in
      try stage.create("ann", adding: ["cat"])
      try stage.externalJoin("ben", by: "ann", members: ["cat"])
      try stage.externalJoin("ben", by: "cat", members: ["ann"], removingPrior: true)
      try stage.expectAgreement(["ann", "ben", "cat"])
    },
    Scenario("external join to many") { stage in
      try stage.create("ann", adding: ["ben", "cat", "dan"])
      try stage.externalJoin("eve", by: "dan", members: ["ann", "ben", "cat"])
      try stage.commit(by: "eve", members: ["ann", "ben", "cat", "dan"])
      try stage.expectAgreement(["ann", "ben", "cat", "dan", "eve"])
    },
  ]

  // MARK: Messages

  static let messages = [
    Scenario("messages in order") { stage in
      try stage.create("ann", adding: ["ben"])
      let sent = try (1...3).map { try stage.protect("\($0)", by: "ann") }
      for (number, message) in sent.enumerated() { try stage.expect("\(number + 1)", from: message, at: "ben") }
    },
    Scenario("messages out of order") { stage in
      try stage.create("ann", adding: ["ben"])
      let sent = try (1...3).map { try stage.protect("\($0)", by: "ann") }
      for (number, message) in sent.enumerated().reversed() {
        try stage.expect("\(number + 1)", from: message, at: "ben")
      }
    },
    Scenario("messages late by an epoch") { stage in
      try stage.create("ann", adding: ["ben"])
      let early = try (1...2).map { try stage.protect("\($0)", by: "ann") }
      try stage.commit(by: "ann", members: ["ben"])
      let late = try (3...4).map { try stage.protect("\($0)", by: "ann") }
      for (number, message) in (early + late).enumerated().reversed() {
        try stage.expect("\(number + 1)", from: message, at: "ben")
      }
    },
  ]

  // MARK: Commits

  static let commits = [
    Scenario("empty commit") { stage in
      try stage.create("ann", adding: ["ben"])
      try stage.commit(by: "ann", members: ["ben"])
      try stage.commit(by: "ben", members: ["ann"])
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("adds by reference and by value") { stage in
      try stage.create("ann", adding: ["ben"])
      for (round, forcingPath) in [true, false].enumerated() {
        let new = (1...3).map { "new \(round) \($0)" }
        let packages = try new.map { try stage.keyPackage($0) }
        let proposals = [try stage.add(by: "ann", packages[0]), try stage.add(by: "ben", packages[1])]
        let members = ["ben"] + (round == 0 ? [] : (1...3).map { "new 0 \($0)" })
        try stage.commit(
          by: "ann", [Description.add(packages[2])], covering: proposals, members: members, joiners: new,
          forcingPath: forcingPath)
      }
      try stage.expectAgreement(["ann", "ben", "new 0 1", "new 0 3", "new 1 1", "new 1 2"])
    },
    Scenario("removes by reference and by value") { stage in
      try stage.create("ann", adding: ["ben", "cat", "dan", "eve"])
      let proposals = [try stage.remove("cat", by: "ann"), try stage.remove("dan", by: "ben")]
      try stage.commit(by: "ann", [Description.remove("eve")], covering: proposals, members: ["ben"])
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("update") { stage in
      try stage.create("ann", adding: ["ben", "cat"])
      let proposals = [try stage.update("ben"), try stage.update("cat")]
      try stage.commit(by: "ann", covering: proposals, members: ["ben", "cat"])
      try stage.commit(by: "ben", members: ["ann", "cat"])
      try stage.expectAgreement(["ann", "ben", "cat"])
    },
    Scenario("group context extensions") { stage in
      try stage.create("ann", adding: ["ben"])
      let both = JSON.list([.nothingRequired, .noSenders])
      try stage.commit(by: "ann", covering: [try stage.extensions(both, by: "ann")], members: ["ben"])
      try stage.commit(by: "ann", covering: [try stage.extensions(.list([]), by: "ben")], members: ["ben"])
      try stage.commit(by: "ann", [Description.extensions(.list([.nothingRequired]))], members: ["ben"])
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("external keys") { stage in
      try stage.create("ann", adding: ["ben"])
      let psks = try (1...3).map { _ in try stage.installPSK(["ann", "ben"]) }
      for forcingPath in [true, false] {
        let proposals = [try stage.externalPSK(psks[0], by: "ann"), try stage.externalPSK(psks[1], by: "ben")]
        try stage.commit(
          by: "ann", [Description.externalPSK(psks[2])], covering: proposals, members: ["ben"],
          forcingPath: forcingPath)
      }
      try stage.expectAgreement(["ann", "ben"])
    },
    Scenario("resumption keys") { stage in
      try stage.create("ann", adding: ["ben"])
      for _ in 0..<2 { try stage.commit(by: "ann", members: ["ben"]) }
      for epoch in [UInt64(1), 2] {
        let proposals = [
          try stage.resumptionPSK(epoch, by: "ann"), try stage.resumptionPSK(epoch + 1, by: "ben"),
        ]
        try stage.commit(
          by: "ann", [Description.resumptionPSK(epoch + 2)], covering: proposals, members: ["ben"], forcingPath: true)
      }
      try stage.expectAgreement(["ann", "ben"])
    },
    everything(proposer: "ann"),
    everything(proposer: "ben"),
  ]

  /// All kinds of proposals in one commit.
  private static func everything(proposer: String) -> Scenario {
    Scenario("all kinds at once, proposed by \(proposer)") { stage in
      try stage.create("ann", adding: ["ben", "cat", "dan"])
      let psks = try (1...2).map { _ in try stage.installPSK(["ann", "ben"]) }
      var proposals = [
        try stage.add(by: proposer, try stage.keyPackage("eve")), try stage.remove("cat", by: proposer),
        try stage.extensions(.list([.nothingRequired, .noSenders]), by: proposer),
        try stage.externalPSK(psks[0], by: proposer), try stage.resumptionPSK(1, by: proposer),
      ]
      if proposer != "ann" { proposals.append(try stage.update(proposer)) }
      try stage.commit(
        by: "ann",
        [
          Description.add(try stage.keyPackage("fay")), Description.remove("dan"), Description.externalPSK(psks[1]),
          Description.resumptionPSK(1),
        ], covering: proposals, members: ["ben"])
      try stage.expectAgreement(["ann", "ben"])
    }
  }
}
