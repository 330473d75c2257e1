import Glibc

/// What the system knows of this process, under the names that Prometheus' own libraries use.
package enum ProcessMetrics {
  /// Adds the instruments; they are read when somebody looks.
  package static func register(in metrics: Metrics) {
    metrics.counter("process_cpu_seconds_total", help: "CPU time of this process, user and system.") {
      cpuMicroseconds
    }
    metrics.gauge("process_resident_memory_bytes", help: "Memory of this process that is in RAM.") { residentBytes }
    metrics.gauge("process_open_fds", help: "File descriptors open.") { openDescriptors }
    metrics.gauge("process_max_fds", help: "File descriptors that may be open.") { maxDescriptors }
    metrics.gauge("process_threads", help: "Threads of this process.") { status("Threads:") }
    let start = startSeconds
    metrics.gauge("process_start_time_seconds", help: "When this process began, in seconds since 1970.") { start }
  }

  private static var cpuMicroseconds: UInt64 {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
    return UInt64(time.tv_sec) &* 1_000_000 &+ UInt64(time.tv_nsec) / 1000
  }

  /// Bytes of memory in RAM.
  package static var residentBytes: Int64 { status("VmRSS:") << 10 }

  private static var openDescriptors: Int64 {
    guard let folder = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(folder) }
    var count: Int64 = 0
    while readdir(folder) != nil { count += 1 }
    // Neither `.` and `..` nor the one that this look opened.
    return max(0, count - 3)
  }

  private static var maxDescriptors: Int64 {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
    return Int64(clamping: limit.rlim_cur)
  }

  private static var startSeconds: Int64 {
    // The 22nd field, in clock ticks since the machine began; the second holds a name that may contain anything.
    guard let text = SystemFile.text("/proc/self/stat"), let close = text.lastIndex(of: ")"),
      let uptime = SystemFile.text("/proc/uptime")?.split(separator: " ").first.flatMap({ Double($0) })
    else { return Int64(time(nil)) }
    let fields = text[close...].split(separator: " ")
    guard fields.count > 20, let ticks = Double(fields[20]) else { return Int64(time(nil)) }
    return Int64(Double(time(nil)) - uptime + ticks / Double(max(1, sysconf(Int32(_SC_CLK_TCK)))))
  }

  private static func status(_ name: String) -> Int64 {
    SystemFile.number(name, in: "/proc/self/status") ?? 0
  }
}

/// Small files that the kernel writes.
package enum SystemFile {
  /// The first 16 KiB of a file, or `nil` if there is none.
  package static func text(_ path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }

  /// The number that follows a word at the beginning of a line.
  package static func number(_ name: String, in path: String) -> Int64? {
    guard let line = text(path)?.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
    return line.dropFirst(name.utf8.count).split(whereSeparator: { $0 == " " || $0 == "\t" }).first
      .flatMap { Int64($0) }
  }
}
