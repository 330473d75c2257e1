import Synchronization

/// A value that several tasks share.
final class Box<Value: Sendable>: Sendable {
  private let content: Mutex<Value>

  init(_ value: Value) { content = Mutex(value) }

  var value: Value {
    get { content.withLock { $0 } }
    set { content.withLock { $0 = newValue } }
  }

  func change<Result: Sendable>(_ body: @Sendable (inout Value) -> Result) -> Result {
    content.withLock { value in body(&value) }
  }
}
