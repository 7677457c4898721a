// Flags made from a command's zod schema, so that --help, defaults and checks have one source, and the resolution of
// flags over a configuration file over stored settings.
import { Option, type Command } from 'commander'
import { z } from 'zod'
import { jsonSchemaOf, parseConfig, placeholderOf, type JsonSchemaNode } from '../config/index.js'
import type { ConfigFile } from '../config/index.node.js'

/** Schema of a command's options: a flat object, refined or not. */
export type OptionsSchema = z.ZodObject

/** Options that every command has. */
export const commonShape = {
  json: z.boolean().default(false).describe('result as JSON on standard output'),
  quiet: z.boolean().default(false).describe('no progress and no remarks on standard error'),
  verbose: z.boolean().default(false).describe('stack traces of errors'),
}

const commonSchema = z.strictObject(commonShape)

/** The options that every command has, complete. */
export type CommonOptions = z.output<typeof commonSchema>

/** A command's options, checked and complete. */
export interface ResolvedOptions<S extends OptionsSchema> {
  readonly options: z.output<S>
  readonly common: CommonOptions
}

/** `maxPending` as a flag: `--max-pending`. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/**
 * Adds a flag for each key of a schema, `--config`, and the common ones.
 * @param groups headings in --help and the keys below each; keys in none stand below "Options"
 */
export function addFlags(
  command: Command,
  schema: OptionsSchema,
  groups: Readonly<Record<string, readonly string[]>>,
): void {
  const headings = new Map(Object.entries(groups).flatMap(([heading, keys]) => keys.map((k) => [k, heading])))
  const rank = new Map([...headings.keys()].map((key, i) => [key, i]))
  const nodes = Object.entries({ ...propertiesOf(schema), ...propertiesOf(commonSchema) })
  nodes.sort(([a], [b]) => (rank.get(a) ?? Infinity) - (rank.get(b) ?? Infinity) || 0)
  for (const [key, node] of nodes) {
    for (const option of optionsFor(key, node))
      command.addOption(option.helpGroup(headings.get(key) ?? 'Options:'))
  }
  command.addOption(
    new Option('--config <file>', 'YAML or JSON with options by name (maxPending: 8); flags win').helpGroup(
      'Options:',
    ),
  )
}

function propertiesOf(schema: OptionsSchema): Readonly<Record<string, JsonSchemaNode>> {
  return jsonSchemaOf(schema).properties ?? {}
}

/** One flag, or for a switch that may be on by default two. */
function optionsFor(key: string, node: JsonSchemaNode): Option[] {
  const flag = flagOf(key)
  // A flag writes null as none.
  const description = (node.description ?? key).replace(/\bnull\b/g, 'none')
  if (node.type !== 'boolean') {
    return [new Option(`${flag} <${placeholderOf(node)}>`, description + defaultText(node))]
  }
  const negative = flag.replace(/^--/, '--no-')
  if (node.default === true) {
    return [new Option(flag, description).hideHelp(), new Option(negative, `turn off: ${description}`)]
  }
  if (node.default === false) return [new Option(flag, description)]
  return [new Option(flag, description), new Option(negative, `the opposite of ${flag}`)]
}

function defaultText({ default: value }: JsonSchemaNode): string {
  if (value === undefined) return ''
  return ` (default: ${value === null ? 'none' : Array.isArray(value) ? value.join(',') : String(value)})`
}

/** The values of the flags that were given, converted as far as their text allows; the schema checks them. */
export function readFlags(command: Command, schema: OptionsSchema): Map<string, unknown> {
  const given = new Map<string, unknown>()
  for (const [key, node] of Object.entries({ ...propertiesOf(schema), ...propertiesOf(commonSchema) })) {
    if (command.getOptionValueSource(key) !== 'cli') continue
    const value: unknown = command.getOptionValue(key)
    given.set(key, typeof value === 'string' ? convertText(value, node) : value)
  }
  return given
}

/** A flag's text as the value that its schema may take; text that is none stays text, for the check to name it. */
export function convertText(text: string, node: JsonSchemaNode): unknown {
  const nodes = node.anyOf ?? [node]
  if (text === 'none' && nodes.some(({ type }) => type === 'null')) return null
  const isNumber = nodes.some(({ type }) => type === 'number' || type === 'integer')
  if (isNumber && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text)
  if (nodes.some(({ enum: words }) => words?.includes(text))) return text
  const list = nodes.find(({ type }) => type === 'array')
  if (!list) return text
  return text.split(',').map((part, i) => {
    const item = list.prefixItems?.[i] ?? (typeof list.items === 'object' ? list.items : {})
    return convertText(part.trim(), item)
  })
}

/**
 * A command's options from, in rising order, defaults, stored settings, the configuration file and flags. Throws
 * `config.unknown-key` or `config.invalid-value` with all problems in one line, each with the place it comes from.
 */
export function resolveOptions<S extends OptionsSchema>(
  schema: S,
  sources: { readonly flags: ReadonlyMap<string, unknown>; readonly files: readonly ConfigFile[] },
): ResolvedOptions<S> {
  const properties = propertiesOf(schema)
  const values: Record<string, unknown> = {}
  const places = new Map<string, string>()
  for (const { path, values: fromFile, lineOf } of sources.files) {
    for (const [key, value] of Object.entries(fromFile)) {
      // YAML has null for what a flag calls none; both are understood.
      values[key] =
        typeof value === 'string' && value === 'none' ? convertText(value, properties[key] ?? {}) : value
      const line = lineOf(key)
      const place = line === undefined ? path : `${path}, line ${line}`
      places.set(key, key in properties || key in commonShape ? `${place}: ${key}` : place)
    }
  }
  for (const [key, value] of sources.flags) {
    values[key] = value
    places.set(key, flagOf(key))
  }
  const placeOf = (key: string) => places.get(key.split('.')[0]) ?? flagOf(key)
  const isCommon = (key: string) => key in commonShape
  const part = (isWanted: (key: string) => boolean) =>
    Object.fromEntries(Object.entries(values).filter(([key]) => isWanted(key)))
  return {
    common: parseConfig(commonSchema, part(isCommon), placeOf),
    options: parseConfig(
      schema,
      part((key) => !isCommon(key)),
      placeOf,
    ),
  }
}
