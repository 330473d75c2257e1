import Glibc
import Observability
import RelayServer

/// The entry: reads the settings, runs the relay until a signal, and leaves in good order; or does what a verb asks for.
///
/// Exit codes: 0 done, 1 usage or settings, 2 our bug, 3 the address, the data folder or the keys cannot be used,
/// 5 refused.
umask(0o077)
CoreFile.forbid()

/// Ends the process without running what libraries do at the end: libuv's would take its signal pipe from under the
/// event loop, which lives as long as the process and would abort it.
func leave(_ code: Int32) -> Never {
  fflush(nil)
  _exit(code)
}

let command: RelayCommand
do {
  command = try RelayCommand.parse(
    Array(CommandLine.arguments.dropFirst()), environment: Process.environment, readFile: Process.text(ofFile:))
} catch {
  Process.refuse(error.mistakes + (error.partial?.fileFindings ?? []))
}

switch command {
case .help(let text): print(text)
case .version: print("relay-server \(RelayCommand.versionText)")
case .printConfigurationDocumentation: print(RelaySetting.markdown, terminator: "")
case .printOpenAPI: print(OpenAPIDocument.text, terminator: "")
case .checkConfiguration(let configuration):
  Process.requireFiles(of: configuration)
  print(configuration.effectiveText, terminator: "")
case .perform(let subcommand, let call): leave(await subcommand.run(call, complain: Process.complain))
case .serve(let configuration):
  Process.requireFiles(of: configuration)
  leave(await Process.serve(configuration))
}
