// Checks a value against a zod schema and turns everything that is wrong into one error of one line a problem.
import type { z } from 'zod'
import { ShallowDeepError, suggestNearest } from '../errors.js'

/**
 * Returns `value` checked and completed with defaults.
 * Throws `config.unknown-key` when only unknown keys are wrong, else `config.invalid-value`; all problems in one report,
 * each with its key and, for an unknown key, the near miss.
 * @param source where the value came from, for the message: a file, "the command line", ...
 */
export function parseConfig<S extends z.ZodType>(schema: S, value: unknown, source: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const known = knownKeys(schema)
  const problems = result.error.issues.flatMap((issue) => describe(issue, known))
  const onlyUnknown = result.error.issues.every((issue) => issue.code === 'unrecognized_keys')
  throw new ShallowDeepError({
    code: onlyUnknown ? 'config.unknown-key' : 'config.invalid-value',
    message: `${source}: ${problems.map(({ text }) => text).join('; ')}`,
    details: { source, problems },
  })
}

interface Problem {
  readonly key: string
  readonly text: string
}

function describe(issue: z.core.$ZodIssue, known: readonly string[]): Problem[] {
  const path = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const near = suggestNearest(key, known)
      return {
        key: path ? `${path}.${key}` : key,
        text: `unknown key ${key}` + (near ? `; did you mean ${near}?` : ''),
      }
    })
  }
  return [{ key: path, text: path ? `${path}: ${issue.message}` : issue.message }]
}

/** All keys of an object schema, nested ones included, for near misses. */
function knownKeys(schema: z.ZodType): string[] {
  const shape = (schema as { shape?: Record<string, z.ZodType> }).shape
  if (!shape) return []
  return Object.entries(shape).flatMap(([key, inner]) => [key, ...knownKeys(inner)])
}
