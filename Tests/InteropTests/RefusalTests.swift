import CryptoPrimitives
import Testing

@testable import mls_interop

/// What is wrong is refused with an error that says why, and the client goes on.
@Suite struct RefusalTests {
  private let process: InteropProcess

  init() throws { process = try InteropProcess() }

  private func expectRefused(
    _ code: String, _ method: String, _ params: [String: JSON] = [:], rule: String? = nil,
    _ place: SourceLocation = #_sourceLocation
  ) throws {
    let error = #expect(throws: InteropProcess.Refusal.self, sourceLocation: place) {
      _ = try process.call(method, params)
    }
    #expect(error?.code == code, "\(error?.description ?? "")", sourceLocation: place)
    if let rule { #expect(error?.rule == rule, sourceLocation: place) }
    #expect(try process.call("name") == ["name": .text("Kin")], sourceLocation: place)
  }

  @Test func linesThatAreNoCalls() throws {
    let lines: [[UInt8]] = [
      Array("".utf8), Array("null".utf8), Array("[]".utf8), Array("{".utf8), Array("name".utf8), [0xff, 0xfe, 0x00],
      Array(#"{"id":1}"#.utf8), Array(#"{"id":1,"method":7}"#.utf8), Array(#"{"id":1,"method":"name","x":1}"#.utf8),
      Array(#"{"id":1,"method":"name","params":[]}"#.utf8), Array(#"{"id":-1,"method":"name"}"#.utf8),
      Array(#"{"id":1,"method":"name","params":{"a":18446744073709551616}}"#.utf8),
      [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20),
      Array((String(repeating: #"{"a":"#, count: 100_000) + "1" + String(repeating: "}", count: 100_000)).utf8),
    ]
    for line in lines {
      let answer = try process.exchange(line)
      guard case .object(let error)? = answer["error"] else {
        Issue.record("\(line.prefix(60)) was answered")
        continue
      }
      #expect(error["code"] == .text("INVALID_ARGUMENT"))
      #expect(answer["result"] == nil && answer["id"] != nil)
    }
    #expect(try process.exchange(Array(#"{"id":"é","method":"name"}"#.utf8))["id"] == .text("é"))
    // One that is longer than any message.
    let long = try process.exchange([UInt8](repeating: UInt8(ascii: " "), count: (96 << 20) + 1))
    #expect(long["error"] != nil)
    #expect(try process.call("name", [:]) == ["name": .text("Kin")])
  }

  @Test func paramsOfTheWrongKind() throws {
    try expectRefused("UNIMPLEMENTED", "no_such_call")
    try expectRefused("UNIMPLEMENTED", "CreateGroup")
    try expectRefused("INVALID_ARGUMENT", "create_group", ["groupId": .bytes([1])])
    try expectRefused("INVALID_ARGUMENT", "create_group", ["cipher_suite": .number(UInt64(3)), "identity": .text("@")])
    try expectRefused("INVALID_ARGUMENT", "create_group", ["cipher_suite": .flag(true)])
    try expectRefused("INVALID_ARGUMENT", "create_group", ["cipher_suite": .number(UInt64(1 << 40))])
    try expectRefused("INVALID_ARGUMENT", "create_group", ["cipher_suite": .number(UInt64(65_539))])
    try expectRefused("INVALID_ARGUMENT", "create_group", ["encrypt_handshake": .number(UInt64(1))])
    try expectRefused("INVALID_ARGUMENT", "export", ["state_id": .number(try create()), "label": .number(UInt64(1))])
    try expectRefused(
      "INVALID_ARGUMENT", "commit", ["state_id": .number(try create()), "by_value": .list([.text("add")])])
    try expectRefused(
      "INVALID_ARGUMENT", "commit",
      ["state_id": .number(try create()), "by_value": .list([.object(["proposal_type": .bytes([1])])])])
    try expectRefused(
      "INVALID_ARGUMENT", "commit",
      ["state_id": .number(try create()), "by_value": .list([.object(["proposalType": .bytes([1])])])])
    // Defaults, null, numbers in strings, and base64 of both alphabets are as in proto3.
    let group = try process.call(
      "create_group",
      [
        "group_id": .text("-_-_"), "cipher_suite": .text("1"), "identity": .text("YQ"), "encrypt_handshake": .null,
      ])
    #expect(try group.number("state_id") > 0)
    // Suite 0 by default, which is none.
    try expectRefused("INVALID_ARGUMENT", "create_group")
  }

  @Test func numbersThatStandForNothing() throws {
    for method in [
      "group_info", "state_auth", "export", "protect", "unprotect", "update_proposal",
      "remove_proposal", "external_psk_proposal", "resumption_psk_proposal", "group_context_extensions_proposal",
      "commit", "handle_commit", "handle_pending_commit", "re_init_proposal", "re_init_commit",
      "handle_pending_re_init_commit", "handle_re_init_commit", "create_branch", "handle_branch", "add_external_signer",
      "free",
    ] {
      try expectRefused("NOT_FOUND", method, ["state_id": .number(UInt64(99))])
    }
    try expectRefused("NOT_FOUND", "join_group", ["transaction_id": .number(UInt64(99))])
    try expectRefused("NOT_FOUND", "store_psk")
    let package = try process.call("create_key_package", ["cipher_suite": .number(UInt64(3))])["key_package"]
    try expectRefused("NOT_FOUND", "add_proposal", ["key_package": package ?? .null])
    try expectRefused("NOT_FOUND", "re_init_welcome")
    try expectRefused("NOT_FOUND", "handle_re_init_welcome")
    try expectRefused("NOT_FOUND", "external_signer_proposal")
    let state = try create()
    _ = try process.call("free", ["state_id": .number(state)])
    try expectRefused("NOT_FOUND", "free", ["state_id": .number(state)])
    try expectRefused("NOT_FOUND", "protect", ["state_id": .number(state)])
  }

  private func create() throws -> UInt64 {
    try process.call(
      "create_group",
      ["group_id": .bytes(Stage.random(16)), "cipher_suite": .number(UInt64(3)), "identity": .bytes([1])]
    ).number("state_id")
  }

  @Test func whatMLSForbids() throws {
    let state = JSON.number(try create())
    let package = try process.call(
      "create_key_package", ["cipher_suite": .number(UInt64(3)), "identity": .bytes([2])])
    let add = JSON.object(["proposal_type": .bytes(Array("add".utf8)), "key_package": package["key_package"] ?? .null])
    try expectRefused(
      "INVALID_ARGUMENT", "commit", ["state_id": state, "by_value": .list([add, add])], rule: "12.2-5")
    try expectRefused("NOT_FOUND", "remove_proposal", ["state_id": state, "removed_id": .bytes([9])])
    try expectRefused("FAILED_PRECONDITION", "handle_pending_commit", ["state_id": state])
    try expectRefused("INVALID_ARGUMENT", "re_init_commit", ["state_id": state])
    try expectRefused("FAILED_PRECONDITION", "handle_pending_commit", ["state_id": state])
    try expectRefused("INVALID_ARGUMENT", "unprotect", ["state_id": state, "ciphertext": .bytes([1, 2, 3])])
    try expectRefused(
      "INVALID_ARGUMENT", "unprotect", ["state_id": state, "ciphertext": package["key_package"] ?? .null])
    try expectRefused("INVALID_ARGUMENT", "handle_commit", ["state_id": state])
    try expectRefused("FAILED_PRECONDITION", "export", ["state_id": state, "key_length": .number(UInt64(1 << 20))])
    try expectRefused("INVALID_ARGUMENT", "add_external_signer", ["state_id": state, "external_sender": .bytes([9])])
    try expectRefused("INVALID_ARGUMENT", "external_join", ["group_info": package["key_package"] ?? .null])
    try expectRefused("INVALID_ARGUMENT", "new_member_add_proposal", ["group_info": .bytes([])])

    let commit = try process.call("commit", ["state_id": state, "by_value": .list([add])])
    _ = try process.call("handle_pending_commit", ["state_id": state])
    let join: [String: JSON] = [
      "transaction_id": package["transaction_id"] ?? .null, "welcome": commit["welcome"] ?? .null,
    ]
    try expectRefused("INVALID_ARGUMENT", "join_group", join)
    let joined = try process.call("join_group", join.merging(["identity": .bytes([2])]) { $1 })
    // A key package is good for one group.
    try expectRefused("NOT_FOUND", "join_group", join.merging(["identity": .bytes([2])]) { $1 })
    // A message is good for one reading, and our own commit for none after its merge.
    let message = try process.call("protect", ["state_id": state, "plaintext": .bytes([7])])
    let read: [String: JSON] = ["state_id": joined["state_id"] ?? .null, "ciphertext": message["ciphertext"] ?? .null]
    #expect(try process.call("unprotect", read).bytes("plaintext") == [7])
    try expectRefused("INVALID_ARGUMENT", "unprotect", read)
    try expectRefused("INVALID_ARGUMENT", "handle_commit", ["state_id": state, "commit": commit["commit"] ?? .null])
    // One that was not admitted proposes nothing.
    let signer = try process.call(
      "create_external_signer", ["cipher_suite": .number(UInt64(3)), "identity": .bytes([3])])
    let info = try process.call("group_info", ["state_id": state])
    try expectRefused(
      "FAILED_PRECONDITION", "external_signer_proposal",
      [
        "signer_id": signer["signer_id"] ?? .null, "group_info": info["group_info"] ?? .null,
        "description": Description.remove("\u{1}"),
      ])
  }

  @Test func ownCommitMayComeBack() throws {
    let state = JSON.number(try create())
    let commit = try process.call("commit", ["state_id": state])
    let merged = try process.call("handle_commit", ["state_id": state, "commit": commit["commit"] ?? .null])
    #expect(try merged.bytes("epoch_authenticator").count == 32)
    #expect(
      try process.call("state_auth", ["state_id": state]).bytes("state_auth_secret")
        == merged.bytes("epoch_authenticator"))
  }
}
