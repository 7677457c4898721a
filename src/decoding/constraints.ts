// What may not be emitted next, whatever the exits say: an early end of sequence, repeated n-grams.
import type { LoopOptions } from '../config/index.js'
import type { EngineInfo } from './engine.js'

/**
 * The tokens that may not follow, from the tokens that stand so far with the start token first; undefined where the
 * options forbid none.
 */
export function forbiddenTokens(
  { minNewTokens, noRepeatNgram }: Pick<LoopOptions, 'minNewTokens' | 'noRepeatNgram'>,
  { eosId }: EngineInfo,
): ((tokens: readonly number[]) => number[]) | undefined {
  if (minNewTokens === 0 && noRepeatNgram === 0) return undefined
  return (tokens) => [
    ...(tokens.length <= minNewTokens ? [eosId] : []),
    ...(noRepeatNgram > 0 ? repeatsOf(tokens, noRepeatNgram) : []),
  ]
}

/**
 * Tokens that would complete an n-gram that is there already (transformers' NoRepeatNGramLogitsProcessor; the start
 * token counts).
 */
function repeatsOf(tokens: readonly number[], size: number): number[] {
  const last = tokens.length - (size - 1)
  const repeats = new Set<number>()
  for (let start = 0; start < last; start++) {
    let length = 0
    while (length < size - 1 && tokens[start + length] === tokens[last + length]) length++
    if (length === size - 1) repeats.add(tokens[start + size - 1])
  }
  return [...repeats]
}
