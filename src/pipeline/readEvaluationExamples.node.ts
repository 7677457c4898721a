// A data file as examples that are ready to be decoded and scored.
import { encodeText, prefixOf, type PrefixOptions, type ReadReport } from '../data/index.js'
import { readAllExamples, type ReadOptions } from '../data/index.node.js'
import type { EvaluationExample } from '../evaluation/index.js'
import type { Tokenizer } from '../tokenizer/index.js'

export interface ReadEvaluationOptions extends ReadOptions, PrefixOptions {
  readonly tokenizer: Tokenizer
  /** Source tokens, `</s>` included. */
  readonly maxSourceLength: number
}

/** Examples, and how reading went. */
export interface EvaluationData {
  readonly examples: readonly EvaluationExample[]
  readonly truncatedSources: number
  readonly report: ReadReport
}

/** Reads and encodes a data file. Throws what reading throws, and what {@link prefixOf} throws. */
export async function readEvaluationExamples(
  path: string,
  options: ReadEvaluationOptions,
): Promise<EvaluationData> {
  const { tokenizer, maxSourceLength } = options
  const prefix = prefixOf(options)
  const { examples, report } = await readAllExamples(path, options)
  let truncatedSources = 0
  const encoded = examples.map(({ source, targets }): EvaluationExample => {
    const { ids, isTruncated } = encodeText(tokenizer, prefix + source, maxSourceLength)
    if (isTruncated) truncatedSources++
    return { source: ids, sourceText: source, references: targets }
  })
  return { examples: encoded, truncatedSources, report }
}
