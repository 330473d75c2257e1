import Glibc

/// The image of its memory that a process can leave behind when it crashes.
package enum CoreFile {
  /// Has the system write none from now on: memory holds keys, passwords and tokens on their way, and what was said.
  package static func forbid() {
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
  }
}
