import CSodium

/// The one-time initialisation of libsodium.
///
/// Whatever needs the library's random source or its chosen fast paths asks first.
enum Sodium {
  private static let initialised: Bool = sodium_init() >= 0

  /// Stops the program when the system has no random source: nothing safe can be done then, and no input can cause it.
  @inline(__always)
  static func prepare() {
    precondition(initialised, "libsodium could not be initialised: the system has no source of randomness")
  }
}
