@testable import mls_interop

extension Scenario {
  /// A long life of a group, with everything that happens to one in any order.
  static let walks = [
    Scenario("random walk") { stage in
      var walk = Walk()
      do {
        try walk.begin(stage)
        for _ in 0..<12 { try walk.step(stage) }
        try stage.expectAgreement(walk.members)
      } catch { throw Stage.Disagreement(description: "\(error), after \(walk.log)") }
    }
  ]

  private struct Walk {
    var members: [String] = []
    /// What happened so far, to repeat it by hand.
    var log: [String] = []
    private var named = 0

    private mutating func newcomer() -> String {
      named += 1
      return "actor \(named)"
    }

    mutating func begin(_ stage: Stage) throws {
      members = (0..<6).map { _ in newcomer() }
      try stage.create(members[0], adding: Array(members.dropFirst()))
    }

    mutating func step(_ stage: Stage) throws {
      if Int.random(in: 0..<6) == 0 { return try enterFromOutside(stage) }
      let shuffled = members.shuffled()
      let leavers = Array(shuffled.prefix(.random(in: 0...max(0, members.count / 3))))
      let remaining = shuffled.dropFirst(leavers.count)
      let updating = remaining.prefix(.random(in: 0...max(0, remaining.count / 3)))
      guard let committer = remaining.last, !updating.contains(committer) else { return }
      let joiners = (0..<Int.random(in: 0...3)).map { _ in newcomer() }
      log.append("\(committer) commits; out \(leavers), updates \(Array(updating)), in \(joiners)")

      var (byReference, byValue): ([[UInt8]], [JSON]) = ([], [])
      for name in updating { byReference.append(try stage.update(name)) }
      for joiner in joiners {
        let keyPackage = try stage.keyPackage(joiner)
        if Bool.random(), let proposer = remaining.randomElement() {
          byReference.append(try stage.add(by: proposer, keyPackage))
        } else {
          byValue.append(Description.add(keyPackage))
        }
      }
      for leaver in leavers {
        if Bool.random(), let proposer = remaining.randomElement() {
          byReference.append(try stage.remove(leaver, by: proposer))
        } else {
          byValue.append(Description.remove(leaver))
        }
      }
      if Bool.random() {
        let psk = try stage.installPSK(Array(remaining) + joiners)
        byReference.append(try stage.externalPSK(psk, by: committer))
      }
      try stage.commit(
        by: committer, byValue, covering: byReference, members: remaining.filter { $0 != committer },
        joiners: joiners, forcingPath: .random())
      members = Array(remaining) + joiners
    }

    private mutating func enterFromOutside(_ stage: Stage) throws {
      let isReturn = members.count > 2 && Bool.random()
      let joiner = isReturn ? members[0] : newcomer()
      let others = members.filter { $0 != joiner }
      guard let adder = others.randomElement() else { return }
      log.append("\(joiner) enters\(isReturn ? " again" : "") by \(adder)")
      try stage.externalJoin(
        joiner, by: adder, members: others.filter { $0 != adder }, removingPrior: isReturn)
      members = others + [joiner]
    }
  }
}
