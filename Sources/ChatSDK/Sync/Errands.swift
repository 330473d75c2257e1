import RelayProtocol

/// Something that the relay asks this client to look at. However often it asks, one look is under way and one more waits.
enum Errand: Hashable {
  case welcomes, keyPackages, rooms, contacts
  case profile(UserID)
  case log(RoomID)

  /// How many may be under way at once. What is left out is looked at with the next connection.
  static let most = 1024
}

extension ChatClient {
  /// Runs `body` beside the frames that come, and once more after it if it was asked for meanwhile.
  func run(_ errand: Errand, _ body: @escaping @Sendable () async throws -> Void) {
    guard errands[errand] == nil else {
      errands[errand] = true
      return
    }
    guard errands.count < Errand.most else { return }
    errands[errand] = false
    Task {
      repeat {
        errands[errand] = false
        try? await body()
      } while errands[errand] == true && !isClosed
      errands[errand] = nil
    }
  }
}
