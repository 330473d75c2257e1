enum RelayBench { static func run() async throws {} }
