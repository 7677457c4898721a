// Replacement by a pattern, which normalisers and decoders share.
import { z } from 'zod'
import { ReplaceNormalizer } from './library.js'

/** Fields of a Replace. The content is short, so that a small text cannot become a huge one. */
export const replaceSchema = z.object({
  pattern: z.union([z.object({ String: z.string().max(1000) }), z.object({ Regex: z.string().max(1000) })]),
  content: z.string().max(256),
})

/**
 * Replaces every match by the content as it stands (the library reads `$&` and the like in it). Throws RangeError for a
 * regular expression that could take more than linear time, SyntaxError for one that is none.
 */
export function makeReplace({ pattern, content }: z.infer<typeof replaceSchema>): (text: string) => string {
  if ('String' in pattern) {
    return pattern.String === '' ? (text) => text : (text) => text.replaceAll(pattern.String, () => content)
  }
  if (!LINEAR.test(pattern.Regex)) {
    throw new RangeError(
      `expected a regular expression of characters and classes with at most one repetition, last in its branch, got ${pattern.Regex}`,
    )
  }
  // The library translates the reference's dialect of regular expressions.
  const { pattern: expression } = new ReplaceNormalizer({ pattern })
  expression.test('') // compiles it
  return (text) => text.replaceAll(expression, () => content)
}

/**
 * Branches of plain atoms of which only the last may repeat: such a branch never tries a text twice, so a file from a
 * stranger cannot make encoding hang. What T5 and its kin use is of this form.
 */
const LINEAR = (() => {
  const escape = String.raw`\\(?:[pP]\{\w+\}|x[0-9a-fA-F]{2}|x\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|[^pPxu0-9kgG])`
  const atom = String.raw`(?:${escape}|\[\^?(?:${escape}|[^\\\[\]&])+\]|[^\\\[\](){}|?*+])`
  const repeat = String.raw`(?:[?*+]|\{\d{1,2}(?:,\d{0,2})?\})`
  const branch = `${atom}*${repeat}?`
  return new RegExp(`^${branch}(?:\\|${branch})*$`, 'u')
})()
