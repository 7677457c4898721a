// One decoded text with its exits, put together from what `generate --json` or the decoding loop says of it, and what the
// views of it need: which pending tokens went deep in which flush.
import { ShallowDeepError } from '../errors.js'
import type { EvaluatedOutput, OutputToken } from '../evaluation/index.js'

/** What the token views show: an evaluated output, whose references they do not need. */
export type DecodedOutput = Omit<EvaluatedOutput, 'references'>

/** A line of `generate --json`; the result of a decoded row is one too. Lists have one entry a token. */
export interface GeneratedLine {
  readonly text: string
  readonly tokens: readonly number[]
  readonly exits: readonly OutputToken['exit'][]
  readonly exitLayers: readonly number[]
  readonly confidences: readonly (number | null)[]
  /** Of the row; a line of `generate` has none. */
  readonly threshold?: number | null
}

/**
 * A generated line with the text of each of its tokens.
 * @param pieces the text that each token adds, '' where it adds none
 * Throws `report.length-mismatch` where a list is longer or shorter than the tokens.
 */
export function toDecodedOutput(
  line: GeneratedLine,
  { source, pieces }: { readonly source: string; readonly pieces: readonly string[] },
): DecodedOutput {
  const { exits, exitLayers, confidences } = line
  const numTokens = line.tokens.length
  for (const [name, list] of Object.entries({ pieces, exits, exitLayers, confidences })) {
    if (list.length === numTokens) continue
    throw new ShallowDeepError({
      code: 'report.length-mismatch',
      message: `${name} must have one entry for each of the ${numTokens} tokens, got ${list.length}`,
      details: { list: name, expected: numTokens, got: list.length },
    })
  }
  const tokens = pieces.map((text, i) => ({
    text,
    exit: exits[i],
    confidence: confidences[i],
    exitLayer: exitLayers[i],
  }))
  return { source, text: line.text, threshold: line.threshold, tokens }
}

/** A deep pass over the tokens from index `first` to index `last`, which caused it. */
export interface Flush {
  readonly first: number
  readonly last: number
}

/**
 * The flushes of an output, in order: a deep token takes the shallow ones before it along. Tokens after the last flush are
 * in none.
 */
export function flushesOf(tokens: readonly Pick<OutputToken, 'exit'>[]): Flush[] {
  const flushes: Flush[] = []
  let first = 0
  for (const [last, { exit }] of tokens.entries()) {
    if (exit !== 'deep') continue
    flushes.push({ first, last })
    first = last + 1
  }
  return flushes
}

/** How many tokens of an output exited shallow. */
export function countShallow(tokens: readonly Pick<OutputToken, 'exit'>[]): number {
  return tokens.filter(({ exit }) => exit === 'shallow').length
}

/** What stands for a token that adds no text. */
export const EMPTY_TOKEN = '∅'

/** What stands for the end of sequence: a last token that adds no text. */
export const END_TOKEN = '⏎'

/** A token's text as the views show it, the space before it apart; never empty. */
export function shownToken(tokens: readonly OutputToken[], index: number): { space: string; body: string } {
  const { text } = tokens[index]
  const body = text.trimStart()
  const space = text.slice(0, text.length - body.length)
  if (body !== '') return { space, body }
  // A token of white space only is the space itself, made visible.
  if (text !== '') return { space: '', body: '␣' }
  return { space: '', body: index === tokens.length - 1 ? END_TOKEN : EMPTY_TOKEN }
}
