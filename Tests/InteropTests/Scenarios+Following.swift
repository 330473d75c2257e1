import CryptoPrimitives

@testable import mls_interop

extension Scenario {
  private static let five = ["ann", "ben", "cat", "dan", "eve"]
  private static let extensions = JSON.list([.nothingRequired, .noSenders])

  /// Another suite than the stage's.
  private static func other(than suite: UInt16) -> UInt16 {
    CipherSuite.supported.map(\.rawValue).first { $0 != suite } ?? suite
  }

  // MARK: Successors and branches

  static let groups = [
    successor("another suite") { stage in
      try stage.reInit(
        proposedBy: "ann", committedBy: "ben", welcomedBy: "cat", all: five, suite: other(than: stage.setting.suite))
    },
    successor("another group id") { stage in
      try stage.reInit(proposedBy: "ann", committedBy: "ben", welcomedBy: "cat", all: five, changingID: true)
    },
    successor("other extensions") { stage in
      try stage.reInit(proposedBy: "ann", committedBy: "ben", welcomedBy: "cat", all: five, extensions: extensions)
    },
    successor("all by one") { stage in
      try stage.reInit(proposedBy: "ann", committedBy: "ann", welcomedBy: "ann", all: five, changingID: true)
    },
    successor("with path") { stage in
      try stage.reInit(
        proposedBy: "ann", committedBy: "ben", welcomedBy: "cat", all: five, changingID: true, forcingPath: true)
    },
    branch("plain") { try $0.branch(by: "ann", members: ["ben", "cat", "dan", "eve"]) },
    branch("with extensions") {
      try $0.branch(by: "ann", members: ["ben", "cat", "dan", "eve"], extensions: extensions)
    },
    branch("with path") { try $0.branch(by: "ann", members: ["ben", "cat", "dan", "eve"], forcingPath: true) },
    Scenario("branch of some, and the group goes on") { stage in
      try stage.create("ann", adding: ["ben", "cat", "dan", "eve"])
      try stage.branch(by: "ben", members: ["dan"], keeping: true)
      try stage.commit(by: "dan", members: ["ben"])
      try stage.expectAgreement(["ben", "dan"])
      try stage.commit(by: "cat", members: ["ann", "ben'", "dan'", "eve"])
      try stage.expectAgreement(["ann", "ben'", "cat", "dan'", "eve"])
    },
  ]

  private static func successor(_ name: String, _ play: @escaping @Sendable (Stage) throws -> Void) -> Scenario {
    following("successor: \(name)", play)
  }

  private static func branch(_ name: String, _ play: @escaping @Sendable (Stage) throws -> Void) -> Scenario {
    following("branch: \(name)", play)
  }

  /// Five are in a group, and then in the one that follows, which works like any other.
  private static func following(_ name: String, _ play: @escaping @Sendable (Stage) throws -> Void) -> Scenario {
    Scenario(name) { stage in
      try stage.create("ann", adding: ["ben", "cat", "dan", "eve"])
      try play(stage)
      try stage.expectAgreement(five)
      try stage.commit(by: "eve", members: ["ann", "ben", "cat", "dan"])
      try stage.expectAgreement(five)
    }
  }

  // MARK: Proposals from outside

  static let outsiders = [
    Scenario("one who wants to join proposes it") { stage in
      try stage.create("ann")
      try stage.commit(by: "ann", covering: [try stage.joinerProposal("ben", from: "ann")], joiners: ["ben"])
      try stage.expectAgreement(["ann", "ben"])
    },
    signed("an add") { stage in
      let proposal = try stage.signerProposal("post", from: "ann", Description.add(try stage.keyPackage("dan")))
      try stage.commit(by: "ann", covering: [proposal], members: ["ben", "cat"], joiners: ["dan"])
      try stage.expectAgreement(["ann", "ben", "cat", "dan"])
    },
    signed("a remove") { stage in
      let proposal = try stage.signerProposal("post", from: "ann", Description.remove("ben"))
      try stage.commit(by: "ann", covering: [proposal], members: ["cat"])
      try stage.expectAgreement(["ann", "cat"])
    },
    signed("an external key") { stage in
      let psk = try stage.installPSK(["ann", "ben", "cat"])
      let proposal = try stage.signerProposal("post", from: "ann", Description.externalPSK(psk))
      try stage.commit(by: "ann", covering: [proposal], members: ["ben", "cat"])
    },
    signed("a resumption key") { stage in
      let proposal = try stage.signerProposal("post", from: "ann", Description.resumptionPSK(2))
      try stage.commit(by: "ann", covering: [proposal], members: ["ben", "cat"])
    },
    signed("extensions") { stage in
      let proposal = try stage.signerProposal("post", from: "ann", Description.extensions(.list([.nothingRequired])))
      try stage.commit(by: "ann", covering: [proposal], members: ["ben", "cat"])
    },
    signed("by two services") { stage in
      try stage.commit(by: "ben", covering: [try stage.admit("bank", by: "ann")], members: ["ann", "cat"])
      let psks = try (1...2).map { _ in try stage.installPSK(["ann", "ben", "cat"]) }
      let proposals = [
        try stage.signerProposal("post", from: "ann", Description.externalPSK(psks[0])),
        try stage.signerProposal("bank", from: "cat", Description.externalPSK(psks[1])),
      ]
      try stage.commit(by: "ann", covering: proposals, members: ["ben", "cat"])
      try stage.expectAgreement(["ann", "ben", "cat"])
    },
    signed("a reinit") { stage in
      let next = Description.reInit(
        stage.groupID + [1], suite: other(than: stage.setting.suite), .list([.nothingRequired]))
      try stage.reInit(
        as: try stage.signerProposal("post", from: "ann", next), committedBy: "ann", welcomedBy: "ben",
        all: ["ann", "ben", "cat"], forcingPath: true)
      try stage.expectAgreement(["ann", "ben", "cat"])
    },
  ]

  /// Three are in a group that lets a service propose.
  private static func signed(_ name: String, _ play: @escaping @Sendable (Stage) throws -> Void) -> Scenario {
    Scenario("a service proposes: \(name)") { stage in
      try stage.create("ann", adding: ["ben", "cat"])
      try stage.commit(by: "ann", covering: [try stage.admit("post", by: "ann")], members: ["ben", "cat"])
      try play(stage)
    }
  }
}
