import BenchKit
import CPostgres
import Glibc
import PostgresFixture
import RelayProtocol
import RelayServer

/// The relay's store on PostgreSQL, beside bare multi-row inserts into the same server in the same run. The server syncs to
/// disk and shares the machine's cores with the relay.
enum PostgresBench {
  private static let content = [UInt8](repeating: 0x5A, count: 200)

  static func run() async throws {
    let server = try PostgresServer(durable: true)
    header("what", "result", "work")
    try bare(server, batches: 300, of: 100)
    let address = try server.makeDatabase()
    let store = try PostgresStore(PostgresStore.Configuration(PostgresSettings(address)))
    let bench = try await Senders(store)
    await bench.measure("batches of 100, one under way", messages: 30_000) {
      for batch in 0..<300 { await bench.append((0..<100).map { bench.message(batch * 100 + $0) }) }
    }
    for senders in [1, 64, 1024] {
      let each = senders == 1 ? 500 : 65_536 / senders
      await bench.measure("\(senders) senders with one under way each", messages: senders * each) {
        await withTaskGroup { group in
          for sender in 0..<senders {
            group.addTask { for _ in 0..<each { await bench.append([bench.message(sender)]) } }
          }
        }
      }
    }
    await store.close()
    try bare(server, batches: 300, of: 100)
  }

  /// What the server gives without checks, send ids or threads: one prepared statement of many rows, in binary.
  private static func bare(_ server: PostgresServer, batches: Int, of count: Int) throws {
    guard let connection = PQconnectdb(try server.makeDatabase()) else { return }
    defer { PQfinish(connection) }
    func expect(_ result: OpaquePointer?) {
      if PQresultStatus(result) != PGRES_COMMAND_OK { print(String(cString: PQerrorMessage(connection))) }
      PQclear(result)
    }
    expect(
      PQexec(
        connection,
        "CREATE TABLE bare (room bigint, sequence bigint, message bytea, PRIMARY KEY (room, sequence))"))
    let rows = (0..<count).map { "($\($0 * 3 + 1)::bigint, $\($0 * 3 + 2)::bigint, $\($0 * 3 + 3)::bytea)" }
    expect(PQprepare(connection, "bare", "INSERT INTO bare VALUES " + rows.joined(separator: ", "), 0, nil))
    let start = ContinuousClock.now
    for batch in 0..<batches {
      var numbers: [Int64] = []
      for row in 0..<count {
        let number = batch * count + row
        numbers += [Int64(number % 64).bigEndian, Int64(number / 64 + 1).bigEndian]
      }
      numbers.withUnsafeBytes { numbers in
        content.withUnsafeBytes { content in
          var values: [UnsafePointer<CChar>?] = []
          for row in 0..<count {
            let base = numbers.bindMemory(to: CChar.self).baseAddress
            values += [base.map { $0 + row * 16 }, base.map { $0 + row * 16 + 8 }]
            values.append(content.bindMemory(to: CChar.self).baseAddress)
          }
          let lengths = (0..<count * 3).map { Int32($0 % 3 == 2 ? content.count : 8) }
          let formats = [Int32](repeating: 1, count: count * 3)
          expect(PQexecPrepared(connection, "bare", Int32(count * 3), values, lengths, formats, 1))
        }
      }
    }
    let seconds = (ContinuousClock.now - start).seconds
    row("bare inserts, batches of \(count)", "\(fixed(Double(batches * count) / seconds, 0)) durable rows a second", "")
  }
}

/// Somebody who sends to 64 rooms.
private struct Senders: Sendable {
  let store: PostgresStore
  private let alice: UserID = random()
  private let device: DeviceID = random()
  private let rooms: [RoomID]

  init(_ store: PostgresStore) async throws {
    self.store = store
    try await store.createAccount(
      AccountRecord(id: alice, username: "alice", email: nil, passwordHash: "", role: "user", created: 1),
      devices: DeviceListRecord(number: 1, devices: [device], encoded: [1]))
    var rooms: [RoomID] = []
    for _ in 0..<64 {
      let room: RoomID = random()
      _ = try await store.createRoom(room, owner: alice, now: 1)
      rooms.append(room)
    }
    self.rooms = rooms
  }

  func message(_ index: Int) -> NewMessage {
    NewMessage(
      room: rooms[index % 64], sender: alice, device: device,
      request: SendRequest(sendID: random(), epoch: 0, message: [UInt8](repeating: 0x5A, count: 200)), now: 1)
  }

  func append(_ messages: [NewMessage]) async {
    await withCheckedContinuation { continuation in
      store.append(messages) { outcomes in
        for case .failure(let error) in outcomes { print("store refused: \(error)") }
        continuation.resume()
      }
    }
  }

  func measure(_ what: String, messages: Int, _ body: () async -> Void) async {
    let (start, commits, before) = (ContinuousClock.now, store.commits, store.traffic)
    await body()
    let seconds = (ContinuousClock.now - start).seconds
    let (transactions, after) = (Double(store.commits - commits), store.traffic)
    row(
      "store, \(what)", "\(fixed(Double(messages) / seconds, 0)) durable messages a second",
      "\(fixed(Double(messages) / transactions, 1)) messages, \(fixed(Double(after.roundTrips - before.roundTrips) / transactions, 1)) round trips and \(fixed(Double(after.statements - before.statements) / transactions, 1)) statements a transaction"
    )
  }
}

private func random<ID: RelayProtocol.Identifier>(_ type: ID.Type = ID.self) -> ID {
  ID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
}
