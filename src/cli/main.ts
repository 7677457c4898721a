#!/usr/bin/env node
// The command `shallowdeep`: finds the command that was named, loads only that one, and turns what it throws into a line
// on standard error and an exit code (0 done, 1 failed, 2 wrong use, 3 a gate not met, 130 interrupted).
import { createRequire } from 'node:module'
import { Command, Help } from 'commander'
import type { Environment } from './command.js'
import { EXIT, reportFailure } from './failure.js'
import { listenForInterrupts } from './interrupt.js'

interface CommandEntry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<{ readonly createCommand: (environment: Environment) => Command }>
}

const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'tokenizer',
    summary: 'train a tokenizer on the columns of a data file',
    load: () => import('./commands/tokenizer.js'),
  },
  {
    name: 'train',
    summary: 'train a shallow-deep model on a data file',
    load: () => import('./commands/train.js'),
  },
  {
    name: 'finetune',
    summary: 'train a checkpoint further: give it a shallow exit, a task, or low-rank updates',
    load: () => import('./commands/finetune.js'),
  },
  {
    name: 'generate',
    summary: 'decode texts: arguments, a data file, or standard input',
    load: () => import('./commands/generate.js'),
  },
  {
    name: 'calibrate',
    summary: 'find the threshold for a checkpoint and save it there',
    load: () => import('./commands/calibrate.js'),
  },
  {
    name: 'evaluate',
    summary: "measure one policy's quality, speed and exits",
    load: () => import('./commands/evaluate.js'),
  },
  {
    name: 'ablate',
    summary: 'measure what a setting does: sweeps over thresholds',
    load: () => import('./commands/ablate.js'),
  },
  {
    name: 'score',
    summary: "score any system's predictions against a data file's references",
    load: () => import('./commands/score.js'),
  },
  {
    name: 'compare',
    summary: 'test how much of the quality of run A run B keeps',
    load: () => import('./commands/compare.js'),
  },
  {
    name: 'choose-depth',
    summary: 'find the decoder layer after which a shallow exit gains most',
    load: () => import('./commands/chooseDepth.js'),
  },
  {
    name: 'import',
    summary: 'make a checkpoint of a Hugging Face T5: a folder, or a model of the hub',
    load: () => import('./commands/import.js'),
  },
  {
    name: 'export',
    summary: 'write a checkpoint for other programs: Hugging Face, tfjs or ONNX',
    load: () => import('./commands/export.js'),
  },
  {
    name: 'info',
    summary: 'versions, the backends found, the one chosen and why',
    load: () => import('./commands/info.js'),
  },
]

const TERM_WIDTH = 34

/** Long flags get a line of their own, so that all descriptions begin in the same column and are wrapped. */
const HELP_LAYOUT: Partial<Help> = {
  padWidth: (command, helper) => Math.min(TERM_WIDTH, Help.prototype.padWidth.call(helper, command, helper)),
  formatItem(term, termWidth, description, helper) {
    const format = (shown: string) =>
      Help.prototype.formatItem.call(helper, shown, termWidth, description, helper)
    if (term.length <= termWidth || description === '') return format(term)
    return `  ${term}\n${format('')}`
  },
}

const EXAMPLES = `
Example:
  shallowdeep info
  shallowdeep <command> --help`

/** Runs the command line and returns the exit code. */
async function main(words: readonly string[]): Promise<number> {
  const signal = listenForInterrupts(process)
  ignoreClosedPipes()
  let exitCode: number = EXIT.done
  const [name] = words[0] === 'help' ? words.slice(1) : words
  const entry = COMMANDS.find((candidate) => candidate.name === name)
  const verbose = words.includes('--verbose') || Boolean(process.env.DEBUG)
  const program = createProgram()
  try {
    const environment: Environment = { signal, setExitCode: (code) => (exitCode = code) }
    for (const candidate of COMMANDS) {
      const command =
        candidate === entry
          ? (await candidate.load()).createCommand(environment)
          : new Command(candidate.name).summary(candidate.summary)
      program.addCommand(inheritSettings(command, program))
    }
    await program.parseAsync(words, { from: 'user' })
    return exitCode
  } catch (error) {
    const report = reportFailure(error, { signal, verbose, command: commandPath(program, words) })
    for (const line of report.lines) process.stderr.write(`${line}\n`)
    return report.exitCode
  }
}

/** The command that words name, for hints: `ablate thresholds`. */
function commandPath(program: Command, words: readonly string[]): string {
  const child = program.commands.find((command) => command.name() === words[0])
  return child ? `${program.name()} ${commandPath(child, words.slice(1))}` : program.name()
}

function createProgram(): Command {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  return new Command('shallowdeep')
    .description('Train, calibrate and run early-exiting T5-style models.')
    .version(version, '--version', 'the version')
    .helpOption('-h, --help', 'this help')
    .helpCommand('help [command]', 'help for a command')
    .configureOutput({ outputError: () => undefined })
    .configureHelp(HELP_LAYOUT)
    .addHelpText('after', EXAMPLES)
    .exitOverride()
}

/** Settings that `addCommand` does not hand down. */
function inheritSettings(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent)
  for (const child of command.commands) inheritSettings(child, command)
  return command
}

/** A reader that has seen enough, as in `| head`, is no error. */
function ignoreClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(EXIT.done)
      throw error
    })
  }
}

process.exitCode = await main(process.argv.slice(2))
