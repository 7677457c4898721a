// `npm run bench -- <command>`: what this project measures of itself. A command is a module with a `createCommand`, made
// like those of src/cli; a new one is one more line below.
import { Command } from 'commander'
import type { Environment } from '../src/cli/command.js'
import { EXIT, reportFailure } from '../src/cli/failure.js'
import { listenForInterrupts } from '../src/cli/interrupt.js'

const modules = await Promise.all([
  import('./bandwidth/command.js'),
  import('./decode/command.js'),
  import('./peers/command.js'),
  import('./performance/command.js'),
  import('./trainingStep/command.js'),
])

const NAME = 'npm run bench --'

/** Runs the command line and returns the exit code. */
async function main(words: readonly string[]): Promise<number> {
  const signal = listenForInterrupts(process)
  let exitCode: number = EXIT.done
  const environment: Environment = { signal, setExitCode: (code) => (exitCode = code) }
  const program = new Command(NAME)
    .description('Measures speed and memory; every figure in docs/performance.md comes from here.')
    .helpOption('-h, --help', 'this help')
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
  for (const { createCommand } of modules) {
    program.addCommand(createCommand(environment).copyInheritedSettings(program))
  }
  try {
    await program.parseAsync(words, { from: 'user' })
    return exitCode
  } catch (error) {
    const verbose = words.includes('--verbose') || Boolean(process.env.DEBUG)
    const known = program.commands.some((command) => command.name() === words[0])
    const report = reportFailure(error, { signal, verbose, command: known ? `${NAME} ${words[0]}` : NAME })
    for (const line of report.lines) process.stderr.write(`${line}\n`)
    return report.exitCode
  }
}

process.exitCode = await main(process.argv.slice(2))
