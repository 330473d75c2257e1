import RelayProtocol
import WireCodec

@testable import ChatSDK

// The rules of rooms, judged on commits of any kind: what is accepted is held against a second statement of the same rules.

/// Bytes as choices; at their end everything is 0.
private struct RuleChoices {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func below(_ bound: UInt8) -> UInt8 { (rest.popFirst() ?? 0) % bound }
  mutating func flag() -> Bool { below(2) == 1 }
  mutating func user() -> UserID { UserID(high: 0, low: UInt64(below(5))) }
  mutating func role() -> Role { below(3) == 0 ? .member : flag() ? .admin : .owner }

  mutating func leaf() -> CommitClaim.Leaf {
    let user = user()
    let device = below(2)
    return CommitClaim.Leaf(
      user: user, device: DeviceID(high: user.low, low: UInt64(device)), signatureKey: [UInt8(user.low), device],
      accountKey: [UInt8(user.low)], added: 1, invite: below(8) == 7 ? InviteID(high: 0, low: UInt64(below(2))) : nil)
  }

  mutating func leaves(_ most: UInt8) -> [CommitClaim.Leaf] {
    var found: [CommitClaim.Leaf] = []
    for _ in 0..<below(most + 1) {
      let leaf = leaf()
      if !found.contains(where: { $0.device == leaf.device }) { found.append(leaf) }
    }
    return found
  }

  mutating func change(_ state: inout RoomState) {
    switch below(8) {
    case 0:
      let user = user()
      state.roles[user] = role()
      if state.roles[user] == .member { state.roles[user] = nil }
    case 1: state.settings.name = flag() ? "Field" : ""
    case 2: state.settings.joinPolicy = [.closed, .ask, .open][Int(below(3))]
    case 3: state.banned.formSymmetricDifference([user()])
    case 4:
      let id = InviteID(high: 0, low: UInt64(below(2)))
      let keys = InviteKeys(
        verifying: [UInt8](repeating: below(2), count: 32), sealing: [UInt8](repeating: 1, count: 32), madeBy: user(),
        expires: 0, uses: UInt32(below(3)))
      state.invites[id] = state.invites[id] == nil ? keys : nil
    case 5: state.reentrySecret = [UInt8](repeating: below(3), count: RoomState.secretSize)
    case 6: state.pair = flag() ? RoomPair(user(), UserID(high: 1, low: 1)) : nil
    default: state.settings.topic = flag() ? "tomatoes" : ""
    }
  }
}

@Sendable func judgeCommit(_ bytes: [UInt8]) {
  var choices = RuleChoices(bytes)
  var state = RoomState(name: "Garden", roles: [:])
  state.reentrySecret = fixedSecret
  for _ in 0..<choices.below(8) { choices.change(&state) }
  let members = choices.leaves(8)
  guard !members.isEmpty else { return }
  // As every commit leaves it.
  state.roles = state.roles.filter { role in state.pair != nil || members.contains { $0.user == role.key } }
  let sender = members[Int(choices.below(UInt8(members.count)))]
  var claim = CommitClaim(sender: sender, epoch: 7)
  claim.added = choices.leaves(3)
  for leaf in members where choices.below(4) == 3 {
    if choices.flag() { claim.removed.append(leaf) } else { claim.left.append(leaf) }
  }
  if choices.flag() {
    var next = state
    for _ in 0..<choices.below(4) { choices.change(&next) }
    claim.next = next
  }
  if choices.below(4) == 3 {
    claim.authority =
      choices.flag() ? JoinAuthority.reentry(code: fixedSecret) : .invite(InviteID(high: 0, low: 0), signature: [])
  }
  let verdict = RoomPolicy.check(claim, state: state, members: members, room: fixedRoom, time: 5)
  require(
    RoomPolicy.check(claim, state: state, members: members, room: fixedRoom, time: 5) == verdict,
    "two verdicts on one commit")
  guard verdict == nil else { return }
  // No key and no code of this room is known here.
  require(claim.authority == nil, "somebody came in without the right to")
  holds(claim, state, members)
}

/// What must hold of every commit that is accepted.
private func holds(_ claim: CommitClaim, _ state: RoomState, _ members: [CommitClaim.Leaf]) {
  let (role, sender) = (state.role(of: claim.sender.user), claim.sender.user)
  let next = claim.next ?? state
  let gone = Set(claim.removed + claim.left)
  let after = Set(members.filter { !gone.contains($0) }.map(\.user)).union(claim.added.map(\.user))
  require(gone.isEmpty || next.reentrySecret != state.reentrySecret, "whoever went has a way back")
  require(claim.added.allSatisfy { !next.banned.contains($0.user) }, "somebody banned came in")
  require(next.pair == state.pair, "a room of two became another")
  if state.pair == nil {
    for leaf in claim.removed where leaf.user != sender {
      require(role >= .admin && state.role(of: leaf.user) <= role, "a removal beyond the role")
    }
    require(next.roles.keys.allSatisfy(after.contains), "a role of nobody")
  } else {
    require(claim.added.allSatisfy { state.pair?.contains($0.user) ?? false }, "a third in a room of two")
    require(next.banned == state.banned && next.roles == state.roles || !gone.isEmpty, "rights in a room of two")
  }
  if role < .owner {
    for user in after where state.role(of: user) != next.role(of: user) {
      // Whoever goes wholly and comes in the same commit comes as a plain member.
      require(next.role(of: user) == .member && gone.contains { $0.user == user }, "a role beyond the role")
    }
  }
  if role < .admin {
    require(next.settings == state.settings && next.banned == state.banned, "settings beyond the role")
    require(next.invites.allSatisfy { state.invites[$0.key] == $0.value }, "a link beyond the role")
    require(
      state.settings.joinPolicy == .open || claim.added.allSatisfy { $0.user == sender }
        || state.pair != nil, "somebody was added beyond the role")
  }
  let owners = state.roles.filter { $0.value == .owner && after.contains($0.key) }
  require(owners.isEmpty || next.roles.values.contains(.owner), "a room lost its owners")
  guard next.roles.values.allSatisfy({ $0 != .member }) else { return }
  require(try RoomState(decoding: next.encoded).encoded == next.encoded, "a state that cannot be read was accepted")
}

func commitSeeds() -> [(String, [UInt8])] {
  [
    // Two owners of three, of whom one makes a change.
    ("owner", [2, 0, 0, 1, 0, 0, 1, 1, 1, 3, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 7, 1, 0]),
    ("member", [1, 2, 2, 4, 1, 0, 0, 2, 1, 0, 3, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0]),
    ("removal", [1, 0, 0, 1, 1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, 1, 1, 1, 5, 1, 0]),
    ("pair", [1, 6, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 3, 1, 1, 1, 5, 2, 0]),
  ]
}
