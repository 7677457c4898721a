// What every command is made of: a schema for its options, an example for its --help, and what it does. Parsing, checking
// and the output are the same for all.
import { Command } from 'commander'
import type { z } from 'zod'
import type { ConfigFile } from '../config/index.node.js'
import { addFlags, readFlags, resolveOptions, type OptionsSchema } from './options.js'
import { createOutput, type Output } from './output.js'

/** What the process gives to a command. */
export interface Environment {
  /** Aborted at the first Ctrl-C. */
  readonly signal: AbortSignal
  /** Receives the exit code of a command that has ended without an error. */
  readonly setExitCode: (code: number) => void
}

/** What a command runs with, beside its options. */
export interface CommandContext {
  readonly output: Output
  readonly signal: AbortSignal
  /** Words that are no flags. */
  readonly args: readonly string[]
}

/** A command. */
export interface CommandDefinition<S extends OptionsSchema> {
  readonly name: string
  /** One line, without a full stop. */
  readonly summary: string
  /** The words it takes, for example `[text...]`, and what they are. Neutral: undefined, none. */
  readonly argument?: { readonly name: string; readonly description: string }
  readonly schema: S
  /** Headings of --help and the keys below each. */
  readonly groups: Readonly<Record<string, readonly string[]>>
  /** Command lines that work, for the end of --help. */
  readonly examples: readonly string[]
  /** Stored settings below the configuration file and the flags. Neutral: undefined, none. */
  readonly readStored?: (given: Readonly<Record<string, unknown>>) => Promise<ConfigFile | undefined>
  /** Does it; returns an exit code other than 0 where there is one. */
  readonly run: (options: z.output<S>, context: CommandContext) => Promise<number | void>
}

/** Makes the parser of a command. */
export function defineCommand<S extends OptionsSchema>(
  definition: CommandDefinition<S>,
): (environment: Environment) => Command {
  const { name, summary, argument, schema, groups, examples } = definition
  return ({ signal, setExitCode }) => {
    const command = new Command(name).summary(summary).description(`${summary}.`)
    if (argument) command.argument(argument.name, argument.description)
    addFlags(command, schema, groups)
    command.addHelpText('after', () => ['', 'Example:', ...examples.map((line) => `  ${line}`)].join('\n'))
    command.action(async () => {
      const flags = readFlags(command, schema)
      const files: ConfigFile[] = []
      const config = command.getOptionValue('config') as string | undefined
      if (config !== undefined) {
        const { loadConfigFile } = await import('../config/index.node.js')
        files.push(await loadConfigFile(config))
      }
      const given = { ...files[0]?.values, ...Object.fromEntries(flags) }
      const stored = await definition.readStored?.(given)
      if (stored) files.unshift(stored)
      const { options, common } = resolveOptions(schema, { flags, files })
      const context = { output: createOutput(common), signal, args: command.args }
      setExitCode((await definition.run(options, context)) ?? 0)
    })
    return command
  }
}
