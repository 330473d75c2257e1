import CUV

/// What a connection is to send: chunks in order, the last of which still grows.
struct OutgoingQueue {
  enum Chunk {
    case copied([UInt8])
    case shared(SharedBytes.Storage)

    var count: Int {
      switch self {
      case .copied(let bytes): bytes.count
      case .shared(let storage): storage.memory.count
      }
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
      switch self {
      case .copied(let bytes): bytes.withUnsafeBytes(body)
      case .shared(let storage): body(storage.memory)
      }
    }
  }

  /// The whole queue, as long as it is one piece that others are sent too: what most connections have in most turns.
  private var only: SharedBytes.Storage?
  private var chunks: [Chunk] = []
  private var tail: [UInt8] = []
  /// How much of the first chunk is gone already.
  var headOffset = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// Below that, copying is cheaper than a chunk of its own, unless it stays the only one.
  static let sharingThreshold = 4096

  mutating func append(_ bytes: UnsafeRawBufferPointer, spare: () -> [UInt8]) {
    if only != nil { demote(spare: spare) }
    if tail.capacity == 0 { tail = spare() }
    tail.append(contentsOf: bytes)
    count += bytes.count
  }

  mutating func append(_ storage: SharedBytes.Storage, spare: () -> [UInt8]) {
    if count == 0 {
      only = storage
      count = storage.memory.count
      return
    }
    guard storage.memory.count >= Self.sharingThreshold else { return append(storage.memory, spare: spare) }
    if only != nil { demote(spare: spare) }
    closeTail()
    chunks.append(.shared(storage))
    count += storage.memory.count
  }

  /// Something follows what was alone: it becomes a chunk, or part of one if it is small and nothing of it has left.
  private mutating func demote(spare: () -> [UInt8]) {
    guard let storage = only else { return }
    only = nil
    guard storage.memory.count < Self.sharingThreshold, headOffset == 0 else { return chunks.append(.shared(storage)) }
    if tail.capacity == 0 { tail = spare() }
    tail.append(contentsOf: storage.memory)
  }

  private mutating func closeTail() {
    guard !tail.isEmpty else { return }
    var closed: [UInt8] = []
    swap(&closed, &tail)
    chunks.append(.copied(closed))
  }

  /// Takes the first chunk out, to be followed by `removed`, and `putBack` if it has to wait.
  mutating func takeFirst() -> Chunk? {
    if let storage = only {
      only = nil
      return .shared(storage)
    }
    guard !chunks.isEmpty else {
      guard !tail.isEmpty else { return nil }
      var taken: [UInt8] = []
      swap(&taken, &tail)
      return .copied(taken)
    }
    return chunks.removeFirst()
  }

  mutating func putBack(_ chunk: Chunk) {
    if let storage = only {
      only = nil
      chunks.append(.shared(storage))
    }
    chunks.insert(chunk, at: 0)
  }

  /// That many bytes have left the queue.
  mutating func removed(_ bytes: Int) { count -= bytes }

  mutating func removeAll() { self = OutgoingQueue() }
}

/// A write that the kernel could not take at once: keeps its bytes until it has.
final class WriteRequest {
  let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
  let bytes: UnsafeRawBufferPointer
  private let owned: UnsafeMutableRawBufferPointer?
  private let shared: SharedBytes.Storage?

  init(copying source: UnsafeRawBufferPointer) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 8)
    memory.copyMemory(from: source)
    owned = memory
    shared = nil
    bytes = UnsafeRawBufferPointer(memory)
  }

  init(sharing storage: SharedBytes.Storage, from offset: Int) {
    owned = nil
    shared = storage
    bytes = UnsafeRawBufferPointer(rebasing: storage.memory[offset...])
  }

  deinit {
    request.deallocate()
    owned?.deallocate()
  }
}
