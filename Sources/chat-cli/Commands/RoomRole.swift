import ChatSDK

extension Command {
  static let roomRole = Command(
    name: "room role", parameters: ["ROOM", "USERNAME", "ROLE"],
    summary: "make a member an owner, admin or member"
  ) { context in
    let words = context.arguments.positional
    let roles: [String: Role] = ["owner": .owner, "admin": .admin, "member": .member]
    guard let role = roles[words[2]] else { throw Failure.usage("ROLE is owner, admin or member") }
    try await context.withRoom(words[0]) { _, room in
      try await room.setRole(role, of: words[1])
      context.output.print(
        [
          ("type", .string("role_set")), ("room", .string(room.id.text)), ("username", .string(words[1])),
          ("role", .string(words[2])),
        ], text: "\(SafeText.line(words[1])) is now \(words[2])")
    }
  }
}
