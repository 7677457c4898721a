// Validation of a model in training: teacher-forced losses of both exits, and BLEU and the task's metrics of what each of
// them really decodes.
import { decodeAll, full, staticExit, type DecoderEngine, type Policy } from '../decoding/index.js'
import { encodeText, fillBatch, type EncodedExample, type Example, type TokenBatch } from '../data/index.js'
import { createTfjsEngine } from '../engines/tfjs/index.js'
import { metricByName, type MetricName } from '../metrics/index.js'
import type { ShallowDeepModel } from '../model/index.js'
import type { Tokenizer } from '../tokenizer/index.js'
import { validateLosses, type ExitQuality, type ValidationResult } from '../training/index.js'

/** What a model is validated on; made once, used at each validation. */
export interface ValidationSet {
  /** For the losses: every example, its first reference. */
  readonly encoded: readonly EncodedExample[]
  /** For BLEU and the task's metrics: the examples to decode, with all references. */
  readonly decoded: readonly Example[]
  /** Put before each source. */
  readonly prefix: string
  /** Those of the task, the leading one first. */
  readonly metrics: readonly MetricName[]
}

export interface ValidateModelOptions {
  readonly tokenizer: Tokenizer
  readonly maxSourceLength: number
  readonly maxNewTokens: number
  /** Called while decoding, both exits counted together. */
  readonly onDecoded?: (numDone: number, numTotal: number) => void
  /** When aborted, decoding stops and BLEU is left null: the losses are known, and training still has to save. */
  readonly signal?: AbortSignal
}

/** Rows of a batch of teacher-forced validation; it only bounds memory. */
const BATCH_SIZE = 64

/** Measures both exits. Throws what decoding throws, such as `engine.not-a-number`. Frees everything it makes. */
export async function validateModel(
  model: ShallowDeepModel,
  set: ValidationSet,
  options: ValidateModelOptions,
): Promise<ValidationResult> {
  const losses = await validateLosses(model, batchesOf(set.encoded, model))
  const scores = set.decoded.length > 0 ? await decodeBoth(model, set, options) : undefined
  const quality = (loss: number, decoded: Decoded | undefined): ExitQuality => ({
    loss,
    perplexity: Math.exp(loss),
    ...(decoded ?? { bleu: null }),
  })
  return {
    shallow: quality(losses.shallowLoss, scores?.shallow),
    deep: quality(losses.deepLoss, scores?.deep),
    agreement: losses.agreement,
    ...(losses.confidenceLoss !== undefined && { confidenceLoss: losses.confidenceLoss }),
  }
}

function* batchesOf(
  examples: readonly EncodedExample[],
  { config }: ShallowDeepModel,
): Generator<TokenBatch> {
  for (let start = 0; start < examples.length; start += BATCH_SIZE) {
    const size = Math.min(BATCH_SIZE, examples.length - start)
    const indices = Int32Array.from({ length: size }, (_, i) => start + i)
    yield fillBatch(examples, indices, { padId: config.padId, decoderStartId: config.decoderStartId })
  }
}

/** How well an exit's own outputs are. */
type Decoded = Required<Pick<ExitQuality, 'bleu' | 'scores'>>

async function decodeBoth(model: ShallowDeepModel, set: ValidationSet, options: ValidateModelOptions) {
  const { tokenizer, maxSourceLength, signal } = options
  const engine = createTfjsEngine({ config: model.config, weights: await model.readWeights() })
  try {
    const sources = set.decoded.map(
      ({ source }) => encodeText(tokenizer, set.prefix + source, maxSourceLength).ids,
    )
    const numTotal = 2 * sources.length
    const references = set.decoded.map(({ targets }) => targets)
    const scoreOf = async (policy: Policy, numBefore: number): Promise<Decoded> => {
      const texts = await decodeTexts(engine, sources, { ...options, policy, numBefore, numTotal })
      const score = (name: MetricName) => metricByName(name).score(texts, references)
      return {
        bleu: score('bleu'),
        scores: Object.fromEntries(set.metrics.map((name) => [name, score(name)])),
      }
    }
    const deep = await scoreOf(full(), 0)
    return { deep, shallow: await scoreOf(staticExit(), sources.length) }
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return undefined
    throw error
  } finally {
    engine.dispose()
  }
}

async function decodeTexts(
  engine: DecoderEngine,
  sources: readonly Int32Array[],
  job: ValidateModelOptions & {
    readonly policy: Policy
    readonly numBefore: number
    readonly numTotal: number
  },
): Promise<string[]> {
  const { policy, maxNewTokens, signal, tokenizer, onDecoded, numBefore, numTotal } = job
  const results = await decodeAll(engine, sources, {
    policy,
    maxNewTokens,
    signal,
    onResult: (_result, index) => onDecoded?.(numBefore + index + 1, numTotal),
  })
  return results.map(({ tokens }) => tokenizer.decode(tokens))
}
