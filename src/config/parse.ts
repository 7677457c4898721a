// Checks a value against a zod schema and turns everything that is wrong into one error of one line.
import type { z } from 'zod'
import { ShallowDeepError, suggestNearest } from '../errors.js'
import { expectationOf, jsonSchemaOf, nodeAt } from './expectation.js'

/**
 * Returns `value` checked and completed with defaults.
 * Throws `config.unknown-key` when only unknown keys are wrong, else `config.invalid-value`; all problems in one report,
 * each with its key, what was expected and what came; for an unknown key, the near miss.
 * @param source where the value came from, for the message: a file, "decoding options", ...; or, where its keys come
 * from different places, a function that names the place of a key: `--max-pending`, `train.yaml, line 3`
 */
export function parseConfig<S extends z.ZodType>(
  schema: S,
  value: unknown,
  source: string | ((key: string) => string),
): z.output<S> {
  const result = schema.safeParse(value, { reportInput: true })
  if (result.success) return result.data
  const problems = result.error.issues.flatMap((issue) => describe(issue, schema, typeof source))
  const onlyUnknown = result.error.issues.every((issue) => issue.code === 'unrecognized_keys')
  const message =
    typeof source === 'string'
      ? `${source}: ${problems.map(({ text }) => text).join('; ')}`
      : problems.map(({ key, text }) => `${source(key)}: ${text}`).join('; ')
  throw new ShallowDeepError({
    code: onlyUnknown ? 'config.unknown-key' : 'config.invalid-value',
    message,
    details: { source: typeof source === 'string' ? source : null, problems },
  })
}

interface Problem {
  readonly key: string
  readonly text: string
}

function describe(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  sourceType: 'string' | 'function' | string,
): Problem[] {
  const path = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema)
    return issue.keys.map((key) => {
      const near = suggestNearest(key, known)
      return {
        key: path ? `${path}.${key}` : key,
        text: `unknown key ${key}` + (near ? `; did you mean ${near}?` : ''),
      }
    })
  }
  // A place stands for its key; else the key is part of the text.
  const isPlaced = sourceType === 'function'
  const text = explain(issue, schema, isPlaced ? 'none' : 'null')
  return [{ key: path, text: path && !isPlaced ? `${path}: ${text}` : text }]
}

/** What was expected and what came. */
function explain(issue: z.core.$ZodIssue, schema: z.ZodType, nullWord: string): string {
  if (issue.code === 'custom') return issue.message
  const node = issue.code === 'invalid_format' ? undefined : nodeAt(jsonSchemaOf(schema), issue.path)
  if (node === undefined) return issue.message
  const expected = expectationOf(node, nullWord)
  return issue.input === undefined
    ? `missing; expected ${expected}`
    : `expected ${expected}, got ${show(issue.input)}`
}

/** A value in a message, cut to a readable length. */
function show(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value))
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

/** All keys of an object schema, nested ones included, for near misses. */
function knownKeys(schema: z.ZodType): string[] {
  const shape = (schema as { shape?: Record<string, z.ZodType> }).shape
  if (!shape) return []
  return Object.entries(shape).flatMap(([key, inner]) => [key, ...knownKeys(inner)])
}
