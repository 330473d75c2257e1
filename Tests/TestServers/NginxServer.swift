import Foundation
import Glibc

/// nginx with the configuration that Kin ships, before servers of this machine.
package final class NginxServer: Sendable {
  package let port: UInt16
  /// The certificate, which clients are to trust: it is for `localhost`.
  package let certificate: String
  private let folder: ServerFolder
  private let process: ServerProcess

  package init(before ports: [UInt16]) throws {
    let folder = try ServerFolder()
    self.folder = folder
    port = try Loopback.lastingPort()
    let key: String
    (certificate, key) = try folder.makeCertificate()
    let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    var shipped: [String] = []
    for line in try String(contentsOf: project.appending(path: "deploy/nginx.conf"), encoding: .utf8)
      .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    {
      if line.contains("server 127.0.0.1:7900") {
        // A line of the same words for each of the servers.
        shipped += ports.map { line.replacing("7900", with: "\($0)") }
      } else if !line.contains("server 127.0.0.1:7901") {
        shipped.append(
          line.replacing("listen 443", with: "listen 127.0.0.1:\(port)")
            .replacing("/etc/kin/tls/certificate.pem", with: certificate).replacing("/etc/kin/tls/key.pem", with: key))
      }
    }
    try shipped.joined(separator: "\n").write(toFile: folder.path + "/kin.conf", atomically: true, encoding: .utf8)
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
      "\($0)_temp_path \(folder.path)/\($0);"
    }
    let main = """
      daemon off;
      worker_processes 1;
      pid \(folder.path)/nginx.pid;
      error_log \(folder.path)/error.log;
      \(getuid() == 0 ? "user root;" : "")
      events { worker_connections 1024; }
      http {
        access_log off;
        \(temporary.joined(separator: "\n  "))
        include \(folder.path)/kin.conf;
      }
      """
    try main.write(toFile: folder.path + "/nginx.conf", atomically: true, encoding: .utf8)
    process = try ServerProcess(
      "nginx", ["-c", folder.path + "/nginx.conf", "-e", folder.path + "/error.log"], name: "nginx", in: folder)
    try process.untilItListens(on: port)
  }

  deinit { process.kill(SIGTERM) }
}
