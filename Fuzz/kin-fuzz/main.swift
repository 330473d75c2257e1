import CLibFuzzer
import Glibc

// kin-fuzz TARGET [libFuzzer's options and folders] | kin-fuzz --list | kin-fuzz --make-corpus FOLDER

let arguments = CommandLine.arguments
switch arguments.dropFirst().first {
case "--list":
  for target in Target.all { print(target.name) }
case "--make-corpus":
  guard arguments.count == 3 else { exit(1) }
  try writeCorpus(in: arguments[2])
case .some(let name):
  guard let target = Target.all.first(where: { $0.name == name }) else {
    complain("kin-fuzz: there is no target '\(name)'; the targets are: \(Target.all.map(\.name))")
    exit(1)
  }
  Target.chosen = target
  // libFuzzer looks into these again whenever it likes, so they stay for as long as the process.
  var count = CInt(arguments.count - 1)
  let copies = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: arguments.count)
  for (place, argument) in ([arguments[0]] + arguments.dropFirst(2)).enumerated() { copies[place] = strdup(argument) }
  copies[arguments.count - 1] = nil
  var values: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = copies
  exit(
    LLVMFuzzerRunDriver(&count, &values) { data, size in
      Target.chosen?.run(Array(UnsafeBufferPointer(start: data, count: size)))
      return 0
    })
case nil:
  complain("usage: kin-fuzz TARGET [OPTIONS] [FOLDERS]")
  exit(1)
}
