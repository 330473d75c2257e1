import BenchKit
import CryptoPrimitives
import E2ECrypto

/// Bytes on the wire, beside those of mlspp in the same suite (measured once, and no more to be had than that).
enum SizeTable {
  static func print() throws {
    let suite = Fixture.suite3
    let pair = try Fixture.Pair(suite)
    let message = try pair.alice.group.protect(Random.bytes(100)).count
    let people = try Fixture.people(1..<1_000, suite)
    let fresh = try Fixture.Fresh(people, suite)
    var options = CommitOptions()
    options.welcomeIncludesTree = false
    let creator = try Fixture.creator(suite)
    let bare = try creator.group.commit(people.map(\.add), options: options, now: Fixture.now).welcome?.count ?? 0
    let empty = try fresh.creator.commit(path: true).message.count
    let full = try Fixture.Full(100, suite)

    header("bytes", "Kin", "mlspp")
    row("application message of 100 B", comma(message), "246")
    row("key package", comma(people[0].bundle.keyPackage.message.count), "")
    row("Welcome of 999, with the tree", comma(fresh.welcome.count), "349,000")
    row("Welcome of 999, without the tree", comma(bare), "118,000")
    row("commit that adds 999", comma(fresh.commit.count), "346,000")
    row("empty commit at 1,000, fresh tree", comma(empty), "83,000")
    row("empty commit at 100, full tree", comma(try full.first.commit(path: true).message.count), "1,200")
    row("ratchet tree of 1,000", comma(fresh.creator.group.ratchetTree.count), "")
  }
}
