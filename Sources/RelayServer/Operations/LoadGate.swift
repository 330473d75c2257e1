import Observability

/// What the relay is short of, as a label.
enum Strain: MetricLabel {
  /// Writes wait for the store, more than it takes away.
  case queue
  /// The store answers late.
  case latency
  case memory, disk

  static var labelName: StaticString { "of" }
  var labelValue: StaticString {
    switch self {
    case .queue: "queue"
    case .latency: "latency"
    case .memory: "memory"
    case .disk: "disk"
    }
  }
}

/// Decides when the relay takes on nothing new, so that those whom it serves already do not suffer: readings in, yes or
/// no out.
///
/// A strain begins when it was seen often enough and ends when it has been well gone for a while, so that the gate does
/// not flap. The queue alone closes the gate at once: it can fill between two readings.
struct LoadGate: Sendable {
  struct Limits: Sendable {
    /// Of the store's queue, from 0 to 1.
    var backlog = 0.5
    var storeNanoseconds: UInt64 = 2_000_000_000
    /// In bytes; 0 turns it off.
    var freeMemory: UInt64 = 200 << 20
    var freeDisk: UInt64 = 1 << 30
  }

  struct Reading: Sendable {
    var backlog = 0.0
    var storeNanoseconds: UInt64 = 0
    /// `nil` where the system does not say.
    var freeMemory: UInt64?
    var freeDisk: UInt64?
  }

  /// Readings in a row that begin a strain.
  static let strained = 3
  /// Readings in a row that end one.
  static let calm = 5

  private let limits: Limits
  private(set) var strains: Set<Strain> = []
  private var runs: [Strain: Int] = [:]

  init(_ limits: Limits) { self.limits = limits }

  mutating func take(_ reading: Reading) {
    judge(
      .queue, isOver: reading.backlog >= limits.backlog, isWellUnder: reading.backlog < limits.backlog * 0.5,
      begins: 1)
    judge(
      .latency, isOver: reading.storeNanoseconds >= limits.storeNanoseconds,
      isWellUnder: reading.storeNanoseconds < limits.storeNanoseconds / 2)
    judge(.memory, free: reading.freeMemory, limit: limits.freeMemory)
    judge(.disk, free: reading.freeDisk, limit: limits.freeDisk)
  }

  /// Why nothing new is taken on now, or `nil`.
  ///
  /// - Parameter backlog: of the store's queue at this moment.
  func refusal(backlog: Double) -> Strain? {
    if backlog >= limits.backlog { return .queue }
    return Strain.allCases.first { strains.contains($0) }
  }

  private mutating func judge(_ strain: Strain, free: UInt64?, limit: UInt64) {
    // Where the system does not say there is no strain to see.
    let free = free ?? .max
    judge(strain, isOver: limit > 0 && free < limit, isWellUnder: free >= limit + limit / 4)
  }

  private mutating func judge(
    _ strain: Strain, isOver: Bool, isWellUnder: Bool, begins: Int = LoadGate.strained
  ) {
    let isOn = strains.contains(strain)
    guard isOn ? isWellUnder : isOver else { return runs[strain] = 0 }
    let run = runs[strain, default: 0] + 1
    runs[strain] = run
    guard run >= (isOn ? Self.calm : begins) else { return }
    if isOn { strains.remove(strain) } else { strains.insert(strain) }
    runs[strain] = 0
  }
}

extension LoadGate.Limits {
  init(_ configuration: RelayConfiguration) {
    backlog = Double(configuration.shedQueuePercent) / 100
    storeNanoseconds = configuration.shedStoreLatency.wholeMilliseconds * 1_000_000
    freeMemory = UInt64(configuration.shedFreeMemoryMiB) << 20
    freeDisk = UInt64(configuration.shedFreeDiskMiB) << 20
  }
}
