// A group's life on MLS alone: create, add, join, talk, update, save, remove. What would go over a network is a byte array.

import CryptoPrimitives
import E2ECrypto

// snippet.identities
let suite = CipherSuite.x25519ChaCha20Poly1305
let now = Timestamp(secondsSinceEpoch: 1_800_000_000)
let lifetime = Lifetime(notBefore: now, notAfter: Timestamp(secondsSinceEpoch: 1_805_000_000))
func identity(_ name: String) -> ClientIdentity {
  ClientIdentity(credential: .basic(identity: Array(name.utf8)), signingKey: .generate())
}

// snippet.hear
func hear(_ message: [UInt8], in group: inout Group) throws {
  switch try group.receive(message) {
  case .application(let said): print("leaf \(said.sender):", String(decoding: said.content, as: UTF8.self))
  case .proposal: print("a proposal, for the next commit to cover")
  case .commit(let commit):
    print("epoch \(commit.epoch): \(commit.effects.updated.count) renewed, \(commit.effects.removed.count) removed")
    try group.merge(commit)
  }
}
// snippet.hide
func live() throws {
  // snippet.create
  let (alice, bob) = (identity("alice"), identity("bob"))
  var hers = try Group.create(groupID: GroupID(Random.bytes(16)), suite: suite, identity: alice, lifetime: lifetime)
  // snippet.add
  let bundle = try KeyPackageBundle.generate(suite: suite, identity: bob, lifetime: lifetime)
  let invitation = try hers.commit([.add(KeyPackage(message: bundle.message))], now: now)
  let welcome = invitation.welcome ?? []
  try hers.merge(invitation)
  // snippet.join
  let joining = try Group.join(welcome: welcome, keyPackage: bundle, identity: bob)
  print("leaf \(joining.effects.sender.leafIndex) invites to a group of \(joining.effects.members.count)")
  var his = joining.adopt()
  // snippet.talk
  try hear(hers.protect(Array("The roses are out.".utf8)), in: &his)
  // snippet.update
  try hear(his.proposeUpdate(), in: &hers)
  let renewal = try hers.commit(now: now)
  try hear(renewal.message, in: &his)
  try hers.merge(renewal)
  // snippet.save
  let saved = hers.encodeState()
  var restored = try Group(restoring: saved, identity: alice)
  // snippet.remove
  let farewell = try restored.commit([.remove(his.ownLeafIndex)], now: now)
  try hear(farewell.message, in: &his)
  try restored.merge(farewell)
  print("bob is \(his.isActive ? "in" : "out"), members: \(restored.memberCount)")
  // snippet.end
}
try live()
