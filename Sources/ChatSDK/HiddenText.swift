/// Text that must not be printed.
package struct HiddenText: Sendable {
  package let bytes: [UInt8]
  package init(_ text: String) { bytes = Array(text.utf8) }
}
