@testable import mls_interop

/// Proposals as `ProposalDescription` has them.
enum Description {
  private static func type(_ name: String) -> JSON { .bytes(Array(name.utf8)) }

  static func add(_ keyPackage: [UInt8]) -> JSON {
    .object(["proposal_type": type("add"), "key_package": .bytes(keyPackage)])
  }

  static func remove(_ name: String) -> JSON {
    .object(["proposal_type": type("remove"), "removed_id": .bytes(Array(name.utf8))])
  }

  static func externalPSK(_ psk: Stage.PSK) -> JSON {
    .object(["proposal_type": type("externalPSK"), "psk_id": .bytes(psk.id)])
  }

  static func resumptionPSK(_ epoch: UInt64) -> JSON {
    .object(["proposal_type": type("resumptionPSK"), "epoch_id": .number(epoch)])
  }

  static func extensions(_ extensions: JSON) -> JSON {
    .object(["proposal_type": type("groupContextExtensions"), "extensions": extensions])
  }

  static func reInit(_ groupID: [UInt8], suite: UInt16, _ extensions: JSON) -> JSON {
    .object([
      "proposal_type": type("reinit"), "group_id": .bytes(groupID), "cipher_suite": .number(UInt64(suite)),
      "extensions": extensions,
    ])
  }
}

extension JSON {
  /// Required capabilities that require nothing.
  static let nothingRequired = JSON.object(["extension_type": .number(UInt64(3)), "extension_data": .bytes([0, 0, 0])])
  /// An empty list of external senders.
  static let noSenders = JSON.object(["extension_type": .number(UInt64(5)), "extension_data": .bytes([0])])
}
