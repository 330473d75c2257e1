package import Networking

/// Where Redis is and how one shows who one is.
package struct RedisConfiguration: Sendable {
  package var host = "127.0.0.1"
  package var port: UInt16 = 6379
  /// Whom to trust, if the connection is to be encrypted.
  package var tls: TLSClientContext?
  /// A user of Redis's access lists; empty: the default one.
  package var user = ""
  /// Empty: none is asked for.
  package var password = ""
  /// What all keys and channels begin with: deployments that share a Redis differ in it.
  package var prefix = "kin"
  /// How this node calls itself in Redis's list of clients.
  package var node = ""

  package init() {}

  /// The channel on which nodes wake each other. Its number changes with the messages' form, so that nodes of two versions do not
  /// read each other's; they find each other's entries in the store.
  var channel: String { prefix + ":wake:2" }

  /// How long a connection may take to stand, and an answer to come.
  package var timeout = Duration.seconds(3)
  /// How often a connection is tried when nothing is to be said.
  package var heartbeat = Duration.seconds(1)
  /// Pauses before connecting anew grow from the first to the second.
  package var pauses = Duration.milliseconds(50)...Duration.seconds(2)
}
