// The seam between what a tokenizer.json names and what it does: each kind of part (normaliser, pre-tokeniser, ...) has a
// table of the types that give the reference's results exactly. What no table has is refused, because ids that are almost
// right spoil a model without a word.
import type { z } from 'zod'
import { describeValue, invalidTokenizer, isObject, unsupportedTokenizer } from '../format.js'

/** Makes a part's function from its JSON; throws `tokenizer.invalid` and `tokenizer.unsupported`. */
type PartMaker<F> = (json: Readonly<Record<string, unknown>>, context: PartContext) => F

interface PartContext {
  /** Where the tokenizer came from, for messages. */
  readonly source: string
  /** Key of the part in tokenizer.json. */
  readonly key: string
}

/** A kind of part. */
export interface PartKind<F> {
  /** Its key in tokenizer.json. */
  readonly key: 'normalizer' | 'pre_tokenizer' | 'post_processor' | 'decoder'
  /** The key under which a Sequence lists its parts. */
  readonly list: string
  /** The types it may have. */
  readonly types: ReadonlyMap<string, PartMaker<F>>
}

const MAX_DEPTH = 16
const MAX_PARTS = 100

/**
 * Defines a type of part by the fields it reads and the function they make. A RangeError of `build` says what is wrong with
 * a field.
 */
export function definePart<S extends z.ZodType, F>(
  schema: S,
  build: (fields: z.infer<S>) => F,
): PartMaker<F> {
  return (json, { source, key }) => {
    const where = `${key} ${String(json.type)}`
    const parsed = schema.safeParse(json)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw invalidTokenizer(source, `${[where, ...issue.path].join('.')}: ${issue.message}`)
    }
    try {
      return build(parsed.data)
    } catch (cause) {
      if (cause instanceof RangeError || cause instanceof SyntaxError) {
        throw invalidTokenizer(source, `${where}: ${cause.message}`, { cause })
      }
      throw cause
    }
  }
}

/**
 * The functions of a part in their order: none for null, several for a Sequence. Throws `tokenizer.invalid` for what is
 * malformed and `tokenizer.unsupported`, naming the type, for what would not be computed exactly.
 */
export function buildParts<F>(kind: PartKind<F>, json: unknown, source: string): F[] {
  const functions: F[] = []
  const add = (part: unknown, depth: number): void => {
    if (part === null || part === undefined) return
    if (!isObject(part) || typeof part.type !== 'string') {
      const found = describeValue(part)
      throw invalidTokenizer(source, `expected an object with a type under ${kind.key}, got ${found}`)
    }
    if (part.type === 'Sequence') {
      const inner = part[kind.list]
      if (!Array.isArray(inner) || depth === MAX_DEPTH) {
        throw invalidTokenizer(
          source,
          `expected a list (nested at most ${MAX_DEPTH} deep) under ${kind.key}.${kind.list}`,
        )
      }
      for (const element of inner) add(element, depth + 1)
      return
    }
    const make = kind.types.get(part.type)
    if (!make) {
      const supported = [...kind.types.keys()].join(', ')
      throw unsupportedTokenizer(source, `the ${kind.key} ${part.type} (supported: ${supported})`)
    }
    functions.push(make(part, { source, key: kind.key }))
    if (functions.length > MAX_PARTS) {
      throw invalidTokenizer(source, `expected at most ${MAX_PARTS} parts under ${kind.key}`)
    }
  }
  add(json, 0)
  return functions
}
