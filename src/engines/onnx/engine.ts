// The decoder engine on ONNX Runtime: graphs built in memory from a model's weights, sources encoded, sessions opened.
// Browser-safe: the runtime is handed in.
import {
  precisionFor,
  type HostWeights,
  type ModelConfig,
  type PrecisionOptions,
} from '../../config/index.js'
import type { DecoderEngine, EncodedSources, EngineInfo } from '../../decoding/index.js'
import { checkSources, checkWeights, disposedError } from '../checks.js'
import { ModelGraphs } from './graphs.js'
import type { OnnxRuntime } from './runtime.js'
import { OnnxSession } from './session.js'
import { embedTokens, paddedLength, type EncodedSource } from './source.js'

/** What an engine is made of. */
export interface OnnxEngineOptions extends PrecisionOptions {
  readonly config: ModelConfig
  /** By our names; kept, not copied: they must not change. */
  readonly weights: HostWeights
  /** onnxruntime-node or onnxruntime-web. */
  readonly runtime: OnnxRuntime
  /**
   * Whether the runtime writes results into the tensors it is given for them: onnxruntime-node does, onnxruntime-web does
   * not, and caches are copied there. Neutral: undefined, by which of the two it is.
   */
  readonly writesInPlace?: boolean
  /** What the runtime computes on, as the engine's `info` is to say it. Neutral: cpu, or wasm with onnxruntime-web. */
  readonly backend?: string
  /**
   * Threads inside one operation. Neutral: 1. onnxruntime-web has them in isolated pages only, and takes their number from
   * its own `env.wasm.numThreads`.
   */
  readonly threads?: number
}

/**
 * Builds an engine's encoder, its exit and the two segments of the model's own shallow exit; other segments are built when
 * they are first run. The caller disposes it.
 * Throws `engine.missing-weight` and `engine.wrong-shape` where the weights are not those of `config`.
 */
export async function createOnnxEngine(options: OnnxEngineOptions): Promise<DecoderEngine> {
  const { config, weights, runtime, dtype = 'float32', keepFloat, threads = 1 } = options
  const isWeb = runtime.env?.versions?.web !== undefined
  const { writesInPlace = !isWeb, backend = isWeb ? 'wasm' : 'cpu' } = options
  checkWeights(config, weights)
  const { shallowLayers, decoderLayers, vocabSize, decoderStartId, eosId, confidenceHead } = config
  const precisionOf = precisionFor({ dtype, keepFloat })
  const graphs = new ModelGraphs(
    { config, weights, precisionOf },
    { runtime, writesInPlace },
    {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      // Each graph has threads of its own: those of one must not wait busily while another's compute, and an operation
      // must not wait long for a thread that other programs keep from running.
      extra: { session: { intra_op: { allow_spinning: '0' }, dynamic_block_base: '4' } },
    },
  )
  await graphs.encoder()
  await graphs.exit()
  if (graphs.proposes) await graphs.proposal()
  await graphs.segment({ from: 0, to: shallowLayers })
  await graphs.segment({ from: shallowLayers, to: decoderLayers })
  return new OnnxEngine(graphs, {
    engine: 'onnx',
    backend,
    dtype,
    threads,
    // Attention rounds one position differently from several, and 8-bit states make a step of some such last bits.
    isApproximate: dtype !== 'float32',
    shallowLayers,
    decoderLayers,
    vocabSize,
    decoderStartId,
    eosId,
    hasConfidenceHead: confidenceHead,
  })
}

class OnnxEngine implements DecoderEngine {
  private isDisposed = false

  constructor(
    private readonly graphs: ModelGraphs,
    readonly info: EngineInfo,
  ) {}

  async encode(
    sources: readonly ArrayLike<number>[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<EncodedSources> {
    checkSources(sources, this.info.vocabSize)
    const encoded: EncodedSource[] = []
    for (const source of sources) {
      this.assertUsable()
      signal?.throwIfAborted()
      encoded.push(await this.encodeSource(source))
    }
    signal?.throwIfAborted()
    return {
      numRows: encoded.length,
      open: (options) => {
        this.assertUsable()
        return new OnnxSession(this.graphs, encoded, options)
      },
      // The garbage collector frees what is on the host.
      dispose: () => undefined,
    }
  }

  dispose(): void {
    if (this.isDisposed) return
    this.isDisposed = true
    void this.graphs.dispose()
  }

  private async encodeSource(tokens: ArrayLike<number>): Promise<EncodedSource> {
    const { graphs } = this
    const { config } = graphs
    const length = paddedLength(tokens.length)
    const states = new Float32Array(length * config.dModel)
    states.set(embedTokens(graphs, tokens))
    const mask = new Int32Array(length)
    for (let i = 0; i < tokens.length; i++) mask[i] = Number(tokens[i] !== config.padId)
    const session = await graphs.encoder()
    const names = Array.from({ length: config.decoderLayers }, (_, i) => [
      `cross_key.${i}`,
      `cross_value.${i}`,
    ])
    const memory = await session.run(
      {
        states: graphs.tensor(states, [1, length, config.dModel]),
        mask: graphs.tensor(mask, [1, length]),
      },
      Object.fromEntries(names.flat().map((name) => [name, null])),
    )
    return { length, mask, memory }
  }

  private assertUsable(): void {
    if (this.isDisposed) throw disposedError('engine')
  }
}
