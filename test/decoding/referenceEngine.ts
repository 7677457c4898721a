// A DecoderEngine over the reference model: no caches, so that nothing in it can be stale, shifted or lost.
import type {
  DecoderEngine,
  DecoderSession,
  EncodedSources,
  ExitChoice,
  RunOptions,
  SessionOptions,
} from '../../src/decoding/index.js'
import { softmax } from './referenceModel.js'
import type { ReferenceModel, ReferenceSource } from './referenceModel.js'

/** An engine that answers every question by looking at all tokens of the row again. */
export function createReferenceEngine(model: ReferenceModel): DecoderEngine {
  const { shallowLayers, decoderLayers, vocabSize, decoderStartId, eosId } = model.config
  const encoded = new Map<string, ReferenceSource>()
  const encode = (source: ArrayLike<number>): ReferenceSource => {
    const key = Array.from(source).join()
    if (!encoded.has(key)) encoded.set(key, model.encode(Array.from(source)))
    return encoded.get(key)!
  }
  return {
    info: {
      engine: 'reference',
      backend: 'javascript',
      dtype: 'float32',
      threads: 1,
      shallowLayers,
      decoderLayers,
      vocabSize,
      decoderStartId,
      eosId,
    },
    encode: async (sources, { signal } = {}): Promise<EncodedSources> => {
      signal?.throwIfAborted()
      const rows = Array.from(sources, encode)
      return {
        numRows: rows.length,
        open: (options) => new ReferenceSession(model, rows, options),
        dispose: () => undefined,
      }
    },
    dispose: () => undefined,
  }
}

class ReferenceSession implements DecoderSession {
  /** Decoder input tokens by row. */
  private readonly tokens: number[][]
  /** Positions that have been through each segment, by row. */
  private readonly lengths: number[][]

  /** By row. */
  private readonly sources: readonly ReferenceSource[]

  constructor(
    private readonly model: ReferenceModel,
    sources: readonly ReferenceSource[],
    private readonly options: SessionOptions,
  ) {
    this.sources = sources.flatMap((source) =>
      Array<ReferenceSource>(options.rowsPerSource ?? 1).fill(source),
    )
    this.tokens = this.sources.map(() => [])
    this.lengths = this.sources.map(() => options.exits.map(() => 0))
  }

  push(row: number, token: number): void {
    this.tokens[row].push(token)
  }

  async run({ segment, rows, exit, newestOnly, signal }: RunOptions): Promise<ExitChoice[][]> {
    signal?.throwIfAborted()
    return rows.map((row) => {
      const lengths = this.lengths[row]
      const end = segment === 0 ? this.tokens[row].length : lengths[segment - 1]
      const start = newestOnly ? Math.max(lengths[segment], end - 1) : lengths[segment]
      lengths[segment] = end
      if (!exit) return []
      return Array.from({ length: end - start }, (_, i) => this.choose(row, start + i, segment))
    })
  }

  truncate(row: number, length: number): void {
    this.tokens[row].length = Math.min(this.tokens[row].length, length)
    this.lengths[row] = this.lengths[row].map((known) => Math.min(known, length))
  }

  reorder(rows: readonly number[], from: readonly number[]): void {
    const held = from.map((row) => ({ tokens: [...this.tokens[row]], lengths: [...this.lengths[row]] }))
    for (const [i, row] of rows.entries()) {
      this.tokens[row] = held[i].tokens
      this.lengths[row] = held[i].lengths
    }
  }

  dispose(): void {
    this.tokens.length = 0
  }

  private choose(row: number, position: number, segment: number): ExitChoice {
    const { exits, forbidden, numCandidates = 1 } = this.options
    const prefix = this.tokens[row].slice(0, position + 1)
    const logits = this.model.logits(this.sources[row], prefix, exits[segment]).slice()
    const logProbabilities = softmax(logits).map(Math.log)
    for (const token of forbidden?.(row, position) ?? []) logits[token] -= 1e9
    const probabilities = softmax(logits)
    const [top1, top2] = probabilities.toSorted((a, b) => b - a)
    const entropy = -probabilities.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0)
    const token = logits.indexOf(Math.max(...logits))
    const candidates = logProbabilities
      .map((logProbability, token) => ({ token, logProbability }))
      .filter(({ token }) => logits[token] > -1e8)
      .sort((a, b) => b.logProbability - a.logProbability)
      .slice(0, numCandidates)
    return { token, top1, top2, entropy, candidates, logits: Float32Array.from(logits) }
  }
}
