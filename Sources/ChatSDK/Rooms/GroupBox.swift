import E2ECrypto

/// A place for the group, which cannot be copied, inside an actor.
final class GroupBox {
  var group: Group

  init(_ group: consuming Group) { self.group = group }
}

/// Lets one task at a time through, in the order of coming. Confined to one actor.
final class Gate {
  private var isHeld = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func enter(isolation: isolated (any Actor)? = #isolation) async {
    guard isHeld else {
      isHeld = true
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  func leave() {
    if waiting.isEmpty { isHeld = false } else { waiting.removeFirst().resume() }
  }
}
