// swift-tools-version: 6.2
import PackageDescription

/// Every target is compiled alike. Warnings are errors here; SwiftPM drops that setting where Kin is a dependency.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func program(
  _ name: String, _ dependencies: [Target.Dependency], path: String? = nil, data: [String] = []
) -> Target {
  .executableTarget(name: name, dependencies: dependencies, path: path, exclude: data, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], data: [String] = []) -> Target {
  .testTarget(name: name, dependencies: dependencies, exclude: data, swiftSettings: settings)
}

func system(_ name: String, pkgConfig: String?, apt: String) -> Target {
  .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt])])
}

// Who may import whom is kept in Scripts/imports.txt and checked by `./dev check`.
let package = Package(
  name: "kin",
  products: [
    .library(name: "ChatSDK", targets: ["ChatSDK"]),
    .library(name: "E2ECrypto", targets: ["E2ECrypto", "CryptoPrimitives"]),
    .library(name: "ChatTestKit", targets: ["ChatTestKit"]),
    .executable(name: "relay-server", targets: ["relay-server"]),
    .executable(name: "chat-cli", targets: ["chat-cli"]),
  ],
  targets: [
    system("CSodium", pkgConfig: "libsodium", apt: "libsodium-dev"),
    system("COpenSSL", pkgConfig: "openssl", apt: "libssl-dev"),
    system("CSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),
    system("CPostgres", pkgConfig: "libpq", apt: "libpq-dev"),
    system("CUV", pkgConfig: "libuv", apt: "libuv1-dev"),
    // Its package file asks for a flag that SwiftPM lets nobody ask for; its header stands where all headers do.
    system("CHiredis", pkgConfig: nil, apt: "libhiredis-dev"),

    room("CryptoPrimitives", ["CSodium", "COpenSSL"]),
    room("WireCodec"),
    room("E2ECrypto", ["WireCodec", "CryptoPrimitives"]),
    room("Content"),
    room("Observability"),
    room("RelayProtocol", ["WireCodec"]),
    room("Networking", ["CUV", "COpenSSL", "Observability"]),
    room("Storage", ["CSQLite", "Observability"]),
    room(
      "ChatSDK",
      [
        "CryptoPrimitives", "WireCodec", "E2ECrypto", "Content", "Observability", "RelayProtocol", "Networking",
        "Storage",
      ]),
    room(
      "RelayServer",
      [
        "CPostgres", "CHiredis", "CryptoPrimitives", "WireCodec", "Observability", "RelayProtocol", "Networking",
        "Storage",
      ]),
    room("ChatTestKit", ["ChatSDK", "RelayServer"]),
    program("relay-server", ["RelayServer", "Observability"]),
    program("chat-cli", ["ChatSDK", "Observability"]),
    .target(name: "BenchKit", path: "Benchmarks/BenchKit", swiftSettings: settings),
    program(
      "mls-bench", ["BenchKit", "CryptoPrimitives", "E2ECrypto", "CSodium", "COpenSSL"],
      path: "Benchmarks/mls-bench"),
    program(
      "kin-bench",
      [
        "BenchKit", "CryptoPrimitives", "WireCodec", "E2ECrypto", "Content", "Observability", "RelayProtocol",
        "Networking",
        "Storage", "ChatSDK", "RelayServer", "CPostgres", "PostgresFixture",
      ],
      path: "Benchmarks/kin-bench"),

    // The checks of test vectors in one place, for the tests and for `./dev vectors`.
    .target(
      name: "MLSVectors", dependencies: ["E2ECrypto", "WireCodec", "CryptoPrimitives"], path: "Tests/MLSVectors",
      swiftSettings: settings),
    program("mls-vectors", ["MLSVectors"], path: "Tests/mls-vectors"),

    // One MLS client behind JSON lines, to be run against other implementations.
    program(
      "mls-interop", ["E2ECrypto", "WireCodec", "CryptoPrimitives"], path: "Tests/mls-interop", data: ["README.md"]),

    // A PostgreSQL server that tests start and that ends with them.
    .target(
      name: "PostgresFixture", dependencies: ["CPostgres"], path: "Tests/PostgresFixture", swiftSettings: settings),
    // Servers of others, which tests run beside ours.
    .target(name: "TestServers", path: "Tests/TestServers", swiftSettings: settings),

    tests("CryptoPrimitivesTests", ["CryptoPrimitives"]),
    tests("WireCodecTests", ["WireCodec"]),
    tests("E2ECryptoTests", ["E2ECrypto", "WireCodec", "CryptoPrimitives", "MLSVectors"]),
    tests("ContentTests", ["Content"]),
    tests("ObservabilityTests", ["Observability"]),
    tests("RelayProtocolTests", ["RelayProtocol", "WireCodec"]),
    tests("NetworkingTests", ["Networking", "Observability"], data: ["Corpus", "Peers"]),
    tests("StorageTests", ["Storage"]),
    tests(
      "RelayServerTests",
      [
        "RelayServer", "RelayProtocol", "WireCodec", "CryptoPrimitives", "Networking", "Storage", "Observability",
        "PostgresFixture", "TestServers", "COpenSSL",
      ], data: ["Peers"]),
    tests(
      "ChatSDKTests",
      [
        "ChatSDK", "ChatTestKit", "E2ECrypto", "WireCodec", "CryptoPrimitives", "Content", "RelayProtocol",
        "Networking", "Storage",
      ]),
    tests("InteropTests", ["mls-interop", "CryptoPrimitives"]),
    tests("PublicAPITests", ["ChatSDK", "E2ECrypto", "CryptoPrimitives", "ChatTestKit"]),
    tests("ChatCLITests", ["chat-cli", "ChatSDK"], data: ["Scripts"]),
    tests(
      "EndToEndTests",
      [
        "ChatSDK", "E2ECrypto", "WireCodec", "CryptoPrimitives", "RelayProtocol", "Networking", "Storage",
        "TestServers", "PostgresFixture",
      ]),
  ],
  swiftLanguageModes: [.v6]
)

// Fuzzing builds everything anew, with the compiler's instruments: `./dev fuzz` asks for it, and nobody else pays.
if Context.environment["KIN_FUZZ"] != nil {
  package.targets += [
    .systemLibrary(name: "CLibFuzzer", path: "Fuzz/CLibFuzzer"),
    program(
      "kin-fuzz",
      [
        "CLibFuzzer", "CSodium", "CryptoPrimitives", "WireCodec", "E2ECrypto", "Content", "RelayProtocol", "Networking",
        "RelayServer", "ChatSDK",
      ],
      path: "Fuzz/kin-fuzz"),
  ]
}
