import CPostgres
import Foundation
import Glibc
import Synchronization

/// A PostgreSQL server of the tests' own, in a folder under /tmp, reached by a socket there. It ends with the process.
///
/// It runs under a shell that reads commands from a pipe: when this process is gone, by whatever way, the pipe ends, and the
/// shell ends the server and removes the folder.
package final class PostgresServer: Sendable {
  package struct Failed: Error, CustomStringConvertible {
    package let description: String
  }

  /// One server for all tests of a process, made when it is first asked for.
  private static let one = Result<PostgresServer, any Error> { try PostgresServer() }
  package static func shared() throws -> PostgresServer { try one.get() }

  package let folder: String
  private let programs: String
  /// The shell's input.
  private let commands: Int32
  private let databases = Atomic<Int>(0)

  /// Makes a cluster and starts it. `durable` syncs to disk, as benchmarks need it and tests do not.
  package init(durable: Bool = false) throws {
    programs = try Self.findPrograms()
    var template = Array("/tmp/kin-postgres-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failed(description: "no temporary folder") }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw Failed(description: "no pipe") }
    // No other child may hold the end that keeps the shell waiting.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    commands = ends[1]
    let script = """
      cd \(folder)
      \(programs)/initdb -D data -U kin -A trust -E UTF8 --locale=C.UTF-8 -N >initdb.log 2>&1
      cat >>data/postgresql.conf <<'END'
      listen_addresses = ''
      unix_socket_directories = '\(folder)'
      max_connections = 200
      shared_buffers = 256MB
      max_wal_size = 4GB
      \(durable ? "" : "fsync = off\nfull_page_writes = off")
      END
      while read -r word; do
        case $word in
          start) \(programs)/postgres -D data >>server.log 2>&1 </dev/null & server=$! ;;
          *) kill -$word $server; wait $server ;;
        esac
      done
      kill -QUIT $server; wait $server
      rm -rf \(folder)
      """
    try Self.spawn(script, input: ends[0], owner: folder)
    close(ends[0])
    try start()
  }

  deinit { close(commands) }

  private static func findPrograms() throws -> String {
    var folders = (14...30).reversed().map { "/usr/lib/postgresql/\($0)/bin" }
    if let path = getenv("PATH") { folders += String(cString: path).split(separator: ":").map(String.init) }
    guard let found = folders.first(where: { access($0 + "/initdb", X_OK) == 0 && access($0 + "/postgres", X_OK) == 0 })
    else { throw Failed(description: "there is no PostgreSQL server on this machine: ./dev test installs one") }
    return found
  }

  /// Starts a shell in a session of its own, so that what ends the tests does not end it before it has cleaned up.
  private static func spawn(_ script: String, input: Int32, owner folder: String) throws {
    var words = ["/bin/sh", "-c", script]
    // The server refuses to run as root; Debian's package brings an account for it.
    if getuid() == 0 {
      guard let account = getpwnam("postgres")?.pointee, chown(folder, account.pw_uid, account.pw_gid) == 0 else {
        throw Failed(description: "root needs the account postgres to run a server")
      }
      words = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] + words
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // POSIX_SPAWN_SETSID, which Glibc's module hides.
    posix_spawnattr_setflags(&attributes, 0x80)
    let arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    guard posix_spawn(&pid, words[0], &actions, &attributes, arguments, environ) == 0 else {
      throw Failed(description: "no shell for the server")
    }
    // A dead child that nobody waits for keeps Swift Testing's exit tests waiting for theirs.
    let child = pid
    Thread.detachNewThread {
      var status: Int32 = 0
      waitpid(child, &status, 0)
    }
  }

  // MARK: Life

  package enum Ending: String {
    /// As a crash: what was committed is recovered at the next start.
    case crash = "QUIT"
    /// Throws all clients out and shuts down in order.
    case restart = "INT"
  }

  /// Starts the server, again after ``stop(_:)``, and waits until it answers.
  package func start() throws {
    try tell("start")
    guard wait({ self.canConnect }) else {
      throw Failed(description: "the server does not answer: see \(folder)/server.log")
    }
  }

  /// Ends the server and waits until it is gone.
  package func stop(_ ending: Ending) throws {
    try tell(ending.rawValue)
    guard wait({ access(self.folder + "/data/postmaster.pid", F_OK) != 0 }) else {
      throw Failed(description: "the server does not end")
    }
  }

  private func tell(_ command: String) throws {
    let line = command + "\n"
    guard write(commands, line, line.utf8.count) == line.utf8.count else { throw Failed(description: "no shell") }
  }

  private func wait(_ condition: () -> Bool) -> Bool {
    for _ in 0..<1200 {
      if condition() { return true }
      usleep(50_000)
    }
    return false
  }

  // MARK: Databases

  /// How libpq reaches a database.
  package func address(of database: String) -> String { "host=\(folder) user=kin dbname=\(database)" }

  /// Makes an empty database and returns how to reach it.
  package func makeDatabase() throws -> String {
    let name = "test\(databases.add(1, ordering: .relaxed).newValue)"
    try run("CREATE DATABASE \(name)")
    return address(of: name)
  }

  /// Runs statements of the test's own, as the server's administrator.
  @discardableResult
  package func run(_ statements: String, in address: String? = nil) throws -> [[String?]] {
    guard let connection = PQconnectdb(address ?? self.address(of: "postgres")) else {
      throw Failed(description: "no memory")
    }
    defer { PQfinish(connection) }
    let result = PQexec(connection, statements)
    defer { PQclear(result) }
    guard [PGRES_COMMAND_OK, PGRES_TUPLES_OK].contains(PQresultStatus(result)) else {
      throw Failed(description: String(cString: PQerrorMessage(connection)))
    }
    return (0..<PQntuples(result)).map { row in
      (0..<PQnfields(result)).map { column in
        PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
      }
    }
  }

  /// Dumps a database and restores it into another, empty one, with the server's own programs.
  package func copy(_ address: String, to other: String) throws {
    let file = "/tmp/kin-dump-\(getpid())-\(databases.add(1, ordering: .relaxed).newValue)"
    defer { unlink(file) }
    let script =
      "\(programs)/pg_dump -Fc -f \(file) -d '\(address)' && \(programs)/pg_restore --exit-on-error -d '\(other)' \(file)"
    guard let output = popen(script + " 2>&1", "r") else { throw Failed(description: "no shell") }
    var said: [UInt8] = []
    while case let byte = fgetc(output), byte != EOF { said.append(UInt8(truncatingIfNeeded: byte)) }
    guard pclose(output) == 0 else { throw Failed(description: String(decoding: said, as: UTF8.self)) }
  }

  private var canConnect: Bool { (try? run("SELECT 1")) != nil }
}
