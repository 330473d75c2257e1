import CryptoPrimitives

extension Secret {
  var exposed: [UInt8] { withBytes { Array($0) } }
}
