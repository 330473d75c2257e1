import Glibc

/// The clock that measurements are taken with: it never goes back, and a look costs no system call.
package enum Monotonic {
  /// Nanoseconds since some moment before the program.
  package static var nanoseconds: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}
