#if DEBUG
import Foundation
import MLSVectors

/// Runs the test vectors below a folder: `mls-vectors FOLDER [--suite N]`.
///
/// Each file gets its line on standard output, remarks go to standard error. The exit code is 0 if nothing failed, 1 if
/// a case did or a file could not be read, 2 if the command was not understood or there is no file of a known kind.
func remark(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }

func usage(_ problem: String) -> Never {
  remark("mls-vectors: error: \(problem)")
  remark("hint: mls-vectors FOLDER [--suite N]")
  exit(2)
}

var folder: String?
var suite: Int?
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
  switch argument {
  case "--suite":
    guard let value = arguments.popFirst(), let number = Int(value), (1...0xffff).contains(number) else {
      usage("--suite needs the number of a cipher suite")
    }
    suite = number
  case _ where argument.hasPrefix("-"): usage("there is no option \(argument)")
  case _ where folder == nil: folder = argument
  default: usage("one folder at a time")
  }
}
guard let folder else { usage("the folder is missing") }
var isFolder: ObjCBool = false
guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
  usage("there is no folder \(folder)")
}

let vectors = VectorFolder(URL(fileURLWithPath: folder, isDirectory: true), suite: suite)
var (files, passed, failed, skipped, unknown) = (0, 0, 0, 0, 0)
for name in vectors.names {
  let report = vectors.run(name)
  report.remarks.forEach(remark)
  print(report.line)
  fflush(nil)
  files += report.isUnknown ? 0 : 1
  unknown += report.isUnknown ? 1 : 0
  passed += report.passed
  failed += report.failed
  skipped += report.skipped
}
remark("mls-vectors: \(files) files: \(passed) passed, \(failed) failed, \(skipped) skipped")
if unknown > 0 {
  remark("mls-vectors: WARNING: \(unknown) files are UNKNOWN and did not run; the exit code does not count them")
}
if files > 0, passed == 0, failed == 0 { remark("mls-vectors: WARNING: every case was skipped") }
if files == 0 {
  remark("mls-vectors: error: there is no file of a known kind")
  exit(2)
}
exit(failed == 0 ? 0 : 1)
#else
// The checks reach into E2ECrypto, which only a debug build lets them.
import Glibc

print("mls-vectors: build it without `-c release`")
exit(2)
#endif
