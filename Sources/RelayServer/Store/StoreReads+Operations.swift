import Storage

extension SQLConnection {
  /// Counts no more packages of a device than the answer needs.
  func devicesLowOnKeyPackages(atMost count: Int) throws -> Int {
    let devices = try first(
      """
      SELECT count(*) FROM device WHERE (
        SELECT count(*) FROM (
          SELECT 1 FROM key_package WHERE key_package.device = device.key AND state = 0 LIMIT \(count + 1)
        ) AS few
      ) <= \(count)
      """
    ) { try $0.count(0) }
    return devices ?? 0
  }
}
