// The quick start of the README: an account, a room, a first message, and what comes back.

import ChatSDK

let passphrase = Passphrase("correct horse battery staple")
let password = Password("a password for the relay")

// snippet.show
try await ChatClient.withClient(.init(relay: "https://relay.example", store: .file("alice.db", passphrase: passphrase)))
{ client in
  try await client.register(as: "alice", password: password)
  let room = try await client.createRoom(named: "Garden")
  try await room.invite("bob", "carol")
  try await room.send("Hello")
  for try await event in room.events {
    if case .message(let message) = event { print("\(message.sender): \(message.text)") }
  }
}
// snippet.hide
