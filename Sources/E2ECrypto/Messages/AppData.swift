public import WireCodec

/// A part of an application that uses a group on its own account (draft-ietf-mls-extensions section 4.1).
public struct ComponentID: Hashable, Comparable, Sendable, WireCodable, CustomStringConvertible {
  public let rawValue: UInt16

  public init(_ rawValue: UInt16) { self.rawValue = rawValue }

  /// In a leaf the components that the client supports, in the group context those that all must.
  public static let appComponents = ComponentID(1)
  /// The components that bind data to messages as ``SafeAAD``.
  public static let safeAAD = ComponentID(2)
  public static let contentMediaTypes = ComponentID(3)
  /// Marks a key package that may be used more than once.
  public static let lastResortKeyPackage = ComponentID(4)
  public static let appAck = ComponentID(5)
  /// The components from here on are an application's own.
  public static let firstPrivate = ComponentID(0x8000)

  public init(from reader: inout Reader) throws(WireError) { rawValue = try reader.readUInt16() }
  public func encode(into writer: inout Writer) { writer.write(rawValue) }

  public static func < (left: ComponentID, right: ComponentID) -> Bool { left.rawValue < right.rawValue }
  public var description: String { "\(rawValue)" }
}

/// What components have to say in one object, at most one entry for each (draft-ietf-mls-extensions section 4.6).
public struct AppDataDictionary: Hashable, Sendable, WireCodable {
  private struct Entry: Hashable, Sendable, WireCodable {
    let component: ComponentID
    var data: [UInt8]

    init(component: ComponentID, data: [UInt8]) {
      self.component = component
      self.data = data
    }

    init(from reader: inout Reader) throws(WireError) {
      component = try ComponentID(from: &reader)
      data = try reader.readVector(max: Bounds.extensions)
    }

    func encode(into writer: inout Writer) {
      writer.write(component)
      writer.writeVector(data)
    }
  }

  /// By component, in increasing order.
  private var entries: [Entry] = []

  public init() {}

  public init(_ data: [ComponentID: [UInt8]]) {
    entries = data.sorted { $0.key < $1.key }.map { Entry(component: $0.key, data: $0.value) }
  }

  public var components: [ComponentID] { entries.map(\.component) }
  public var isEmpty: Bool { entries.isEmpty }

  /// A component's data; nil takes the entry out.
  public subscript(component: ComponentID) -> [UInt8]? {
    get { entries.first { $0.component == component }?.data }
    set {
      let place = entries.firstIndex { $0.component >= component } ?? entries.endIndex
      let isThere = place < entries.endIndex && entries[place].component == component
      switch (newValue, isThere) {
      case (let data?, true): entries[place].data = data
      case (let data?, false): entries.insert(Entry(component: component, data: data), at: place)
      case (nil, true): entries.remove(at: place)
      case (nil, false): break
      }
    }
  }

  public init(from reader: inout Reader) throws(WireError) {
    entries = try reader.readList(max: Bounds.extensions)
    guard zip(entries, entries.dropFirst()).allSatisfy({ $0.component < $1.component }) else {
      throw WireError(.invalidValue)
    }
  }

  public func encode(into writer: inout Writer) { writer.writeList(entries) }
}

/// A change to one component's data in the group context (draft-ietf-mls-extensions section 4.7).
public struct AppDataUpdate: Hashable, Sendable, WireCodable {
  public enum Operation: Hashable, Sendable {
    /// What the component makes its new data of.
    case update([UInt8])
    case remove
  }

  public let component: ComponentID
  public let operation: Operation

  public init(component: ComponentID, operation: Operation) {
    self.component = component
    self.operation = operation
  }

  public init(from reader: inout Reader) throws(WireError) {
    component = try ComponentID(from: &reader)
    switch try reader.readUInt8() {
    case 1: operation = .update(try reader.readVector(max: Bounds.customProposal))
    case 2: operation = .remove
    default: throw WireError(.invalidValue)
    }
  }

  public func encode(into writer: inout Writer) {
    writer.write(component)
    switch operation {
    case .update(let data):
      writer.write(UInt8(1))
      writer.writeVector(data)
    case .remove: writer.write(UInt8(2))
    }
  }
}

/// Data that a component attaches to one commit, and that changes nothing (draft-ietf-mls-extensions section 4.8).
public struct AppEphemeral: Hashable, Sendable, WireCodable {
  public let component: ComponentID
  public let data: [UInt8]

  public init(component: ComponentID, data: [UInt8]) {
    self.component = component
    self.data = data
  }

  public init(from reader: inout Reader) throws(WireError) {
    component = try ComponentID(from: &reader)
    data = try reader.readVector(max: Bounds.customProposal)
  }

  public func encode(into writer: inout Writer) {
    writer.write(component)
    writer.writeVector(data)
  }
}

/// The components that a client supports or a group requires (draft-ietf-mls-extensions section 5).
public struct ComponentsList: Hashable, Sendable, WireCodable {
  public var components: [ComponentID]

  public init(_ components: [ComponentID]) { self.components = components }
  public init(from reader: inout Reader) throws(WireError) {
    components = try reader.readList(max: Bounds.capabilities)
  }
  public func encode(into writer: inout Writer) { writer.writeList(components) }
}

/// What several components bind to one message as its authenticated data (draft-ietf-mls-extensions section 4.9). The
/// form is that of a dictionary.
public typealias SafeAAD = AppDataDictionary
