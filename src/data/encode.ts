// From example texts to token ids: the prefix, the end token, and truncation that keeps it and is counted.
import { ShallowDeepError } from '../errors.js'
import type { Tokenizer } from '../tokenizer/index.js'
import type { EncodedExample } from './batching.js'
import type { Example } from './examples.js'

export interface EncodeOptions {
  readonly tokenizer: Tokenizer
  /** Put before each source (default: nothing). */
  readonly prefix?: string
  /** Most source tokens, `</s>` included (at least 1). */
  readonly maxSourceLength: number
  /** Most target tokens, `</s>` included (at least 1). */
  readonly maxTargetLength: number
  /** `first` (default) trains on an example's first reference, `each` makes an example of each of them. */
  readonly references?: 'first' | 'each'
}

/** Token ids of a data set, and what had to be cut for it. */
export interface EncodedExamples {
  readonly examples: EncodedExample[]
  /** Examples whose source was longer than `maxSourceLength`. */
  readonly truncatedSources: number
  /** Examples whose target was longer than `maxTargetLength`. */
  readonly truncatedTargets: number
}

/**
 * Token ids of a text, at most `maxLength` of them, the last one always `</s>` (added where the tokenizer adds none).
 * Throws `data.bad-length` where `maxLength` is not a positive integer.
 */
export function encodeText(
  tokenizer: Tokenizer,
  text: string,
  maxLength: number,
): { readonly ids: Int32Array; readonly isTruncated: boolean } {
  checkLength('maximum length', maxLength)
  const own = tokenizer.encode(text)
  const numTokens = own.at(-1) === tokenizer.eosId ? own.length - 1 : own.length
  const isTruncated = numTokens + 1 > maxLength
  const kept = own.slice(0, Math.min(numTokens, maxLength - 1))
  return { ids: Int32Array.from([...kept, tokenizer.eosId]), isTruncated }
}

/**
 * Encodes all examples. Throws `data.bad-length` where a maximum is not a positive integer, and `data.no-target` where an
 * example has no reference to learn from.
 */
export async function encodeExamples(
  examples: Iterable<Example> | AsyncIterable<Example>,
  options: EncodeOptions,
): Promise<EncodedExamples> {
  const { tokenizer, prefix = '', maxSourceLength, maxTargetLength, references = 'first' } = options
  checkLength('maxSourceLength', maxSourceLength)
  checkLength('maxTargetLength', maxTargetLength)
  const encoded: EncodedExample[] = []
  let truncatedSources = 0
  let truncatedTargets = 0
  let row = 0
  for await (const { source, targets } of examples) {
    row++
    if (targets.length === 0) {
      throw new ShallowDeepError({
        code: 'data.no-target',
        message: `example ${row} has no target to learn from`,
        hint: 'name the column that holds the targets',
        details: { example: row },
      })
    }
    const sourceIds = encodeText(tokenizer, prefix + source, maxSourceLength)
    for (const target of references === 'each' ? targets : targets.slice(0, 1)) {
      const targetIds = encodeText(tokenizer, target, maxTargetLength)
      if (sourceIds.isTruncated) truncatedSources++
      if (targetIds.isTruncated) truncatedTargets++
      encoded.push({ source: sourceIds.ids, target: targetIds.ids })
    }
  }
  return { examples: encoded, truncatedSources, truncatedTargets }
}

function checkLength(name: string, length: number): void {
  if (Number.isInteger(length) && length >= 1) return
  throw new ShallowDeepError({
    code: 'data.bad-length',
    message: `${name} must be a whole number of tokens, at least 1 (\`</s>\` counts); got ${length}`,
    details: { name, length },
  })
}
