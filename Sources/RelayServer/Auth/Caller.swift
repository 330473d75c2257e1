import RelayProtocol

/// Who makes a request, as a valid access token of a live session says.
struct Caller: Sendable, Hashable {
  var user: UserID
  var device: DeviceID
  var session: UInt64
  /// When the access token expires, in milliseconds since 1970.
  var expires: UInt64
}
