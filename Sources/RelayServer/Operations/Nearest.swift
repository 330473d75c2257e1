/// Finds the word that somebody probably meant.
enum Nearest {
  /// The candidate that is at most two slips (a letter missing, added, wrong, or two swapped) away, if there is one.
  static func to(_ word: some StringProtocol, among candidates: [String]) -> String? {
    let word = Array(word.utf8.prefix(64))
    var best: (distance: Int, candidate: String)?
    for candidate in candidates {
      let distance = distance(word, Array(candidate.utf8))
      // A third of a short word's letters would turn it into any other.
      guard distance <= min(2, candidate.utf8.count / 3), distance < best?.distance ?? .max else { continue }
      best = (distance, candidate)
    }
    return best?.candidate
  }

  /// ` (did you mean x?)`, or nothing.
  static func question(_ word: some StringProtocol, among candidates: [String], prefix: String = "") -> String {
    to(word, among: candidates).map { " (did you mean \(prefix)\($0)?)" } ?? ""
  }

  /// The optimal string alignment distance.
  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var before = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    for (row, letter) in left.enumerated() {
      var next = [row + 1]
      next.reserveCapacity(right.count + 1)
      for (column, other) in right.enumerated() {
        var cost = min(last[column + 1] + 1, next[column] + 1, last[column] + (letter == other ? 0 : 1))
        if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
          cost = min(cost, before[column - 1] + 1)
        }
        next.append(cost)
      }
      (before, last) = (last, next)
    }
    return last[right.count]
  }
}
