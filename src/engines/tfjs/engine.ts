// The decoder engine on tfjs, for any of its backends: weights uploaded once, sources encoded, sessions opened.
import * as tf from '@tensorflow/tfjs'
import type { EngineDtype, ModelConfig, PrecisionOptions } from '../../config/index.js'
import type { DecoderEngine, EncodedSources, EngineInfo, SessionOptions } from '../../decoding/index.js'
import { embed, MASKED, paddingBias, relativeBias, rmsNorm } from '../../model/index.js'
import type { HostWeights, LayerShape } from '../../model/index.js'
import { ShallowDeepError } from '../../errors.js'
import { checkSources, disposedError } from '../checks.js'
import type { EncodedRow } from './crossMemory.js'
import { uploadWeights } from './decoderWeights.js'
import type { EngineWeights } from './decoderWeights.js'
import { GraphSegments, type GraphModel } from './graph/graphSegments.js'
import { currentGraphRuntime } from './graph/runtime.js'
import { PositionBias } from './positionBias.js'
import { EagerSegments } from './segments.js'
import type { SegmentRunner } from './segments.js'
import { TfjsSession } from './session.js'
import type { SessionModel } from './session.js'
import type { Kernels } from './wasm/kernels.js'
import { kernelsFor, WasmSegments } from './wasm/wasmSegments.js'

/**
 * Sources are padded to a multiple of this many positions, alone as in a batch: rows whose sources then have the same
 * length go through attention together, and what a row computes does not depend on who is beside it.
 */
const SOURCE_STEP = 16

/** What an engine is made of. `int8` is of wasm with SIMD alone. */
export interface TfjsEngineOptions extends PrecisionOptions {
  readonly config: ModelConfig
  /** By our names; copied, so that the caller may drop them. */
  readonly weights: HostWeights
  /** The backend that was made current, as the user knows it. Neutral: what tfjs calls it, one thread. */
  readonly backend?: { readonly name: string; readonly threads: number }
}

/**
 * An engine on tfjs's current backend, which must stay the same as long as the engine lives. The caller disposes it.
 * Throws `engine.missing-weight` and `engine.wrong-shape` where the weights are not those of `config`, and
 * `engine.dtype-unsupported` where the backend does not compute in `dtype`.
 */
export function createTfjsEngine(options: TfjsEngineOptions): DecoderEngine {
  const { config, weights, backend, dtype = 'float32', keepFloat } = options
  const { shallowLayers, decoderLayers, vocabSize, decoderStartId, eosId, confidenceHead } = config
  const kernels = kernelsFor(config)
  checkDtype(dtype, kernels)
  return new TfjsEngine(config, uploadWeights(config, weights, { kernels, dtype, keepFloat }), kernels, {
    engine: 'tfjs',
    backend: backend?.name ?? tf.getBackend(),
    dtype,
    threads: backend?.threads ?? 1,
    shallowLayers,
    decoderLayers,
    vocabSize,
    hasConfidenceHead: confidenceHead,
    decoderStartId,
    eosId,
  })
}

class TfjsEngine implements DecoderEngine {
  private readonly model: SessionModel
  private readonly layer: LayerShape
  private readonly bias: PositionBias
  private isDisposed = false

  constructor(
    private readonly config: ModelConfig,
    private readonly weights: EngineWeights,
    kernels: Kernels | undefined,
    readonly info: EngineInfo,
  ) {
    const { numHeads, relativeBuckets, relativeMaxDistance, layerNormEpsilon, feedForward } = config
    this.layer = { numHeads, gated: feedForward === 'gated-gelu', epsilon: layerNormEpsilon }
    this.bias = new PositionBias(weights.decoder.relativeBias, {
      numBuckets: relativeBuckets,
      maxDistance: relativeMaxDistance,
      bidirectional: false,
    })
    const model = { weights, bias: this.bias, shape: this.layer }
    this.model = {
      weights,
      segments: segmentsOf(model, kernels),
      epsilon: layerNormEpsilon,
    }
  }

  async encode(
    sources: readonly ArrayLike<number>[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<EncodedSources> {
    checkSources(sources, this.config.vocabSize)
    const rows: EncodedRow[] = []
    try {
      for (const source of sources) {
        this.assertUsable()
        signal?.throwIfAborted()
        const row = this.encodeRow(source)
        rows.push(row)
        // Backends that compute later than they are asked have done so once a value is read.
        const probe = tf.slice(row.states, [0, 0], [1, 1])
        try {
          await probe.data()
        } finally {
          probe.dispose()
        }
      }
      signal?.throwIfAborted()
    } catch (error) {
      disposeRows(rows)
      throw error
    }
    return {
      numRows: rows.length,
      open: (options: SessionOptions) => {
        this.assertUsable()
        return new TfjsSession(this.model, rows, options)
      },
      dispose: () => disposeRows(rows),
    }
  }

  dispose(): void {
    if (this.isDisposed) return
    this.isDisposed = true
    this.bias.dispose()
    this.model.segments.dispose()
    this.weights.dispose()
  }

  private encodeRow(source: ArrayLike<number>): EncodedRow {
    const { encoder, embedding } = this.weights
    const { layer } = this
    return tf.tidy(() => {
      const length = source.length
      const tokens = tf.tensor1d(Int32Array.from(source), 'int32')
      const padding = paddingBias(tf.reshape(tokens, [1, length]) as tf.Tensor2D, this.config.padId)
      const span = { queryStart: 0, queryLength: length, memoryLength: length }
      const positions = relativeBias(encoder.relativeBias, span, {
        numBuckets: this.config.relativeBuckets,
        maxDistance: this.config.relativeMaxDistance,
        bidirectional: true,
        causal: false,
      })
      const bias = tf.add<tf.Tensor4D>(positions, padding) // [1, H, M, M]
      const hidden = this.model.segments.encoderLayers(embed(embedding, tokens), bias) // [M, D]
      const states = rmsNorm(hidden, encoder.finalNorm, layer.epsilon)
      const numPadding = Math.ceil(length / SOURCE_STEP) * SOURCE_STEP - length
      const isMasked = numPadding > 0 || Array.prototype.includes.call(source, this.config.padId)
      return {
        states: tf.concat<tf.Tensor2D>([states, tf.zeros([numPadding, states.shape[1]])]),
        numTokens: length,
        bias: isMasked
          ? tf.concat<tf.Tensor4D>([padding, tf.fill([1, 1, 1, numPadding], MASKED)], 3)
          : undefined,
      }
    })
  }

  private assertUsable(): void {
    if (this.isDisposed) throw disposedError('engine')
  }
}

function checkDtype(dtype: EngineDtype, kernels: Kernels | undefined): void {
  if (dtype === 'float32' || (dtype === 'int8' && kernels)) return
  const where = kernels ? '' : `, and on backend ${tf.getBackend()} in float32 only for this model`
  throw new ShallowDeepError({
    code: 'engine.dtype-unsupported',
    message: `engine tfjs computes in float32, or on wasm in int8${where}; asked for was ${dtype}`,
    hint: 'take another dtype, another backend, or --engine onnx',
    details: { dtype, backend: tf.getBackend() },
  })
}

/** The fastest way through the layers that there is. */
function segmentsOf(model: GraphModel, kernels: Kernels | undefined): SegmentRunner {
  if (kernels) return new WasmSegments(kernels, model)
  const eager = new EagerSegments(model.weights, model.bias, model.shape)
  const graphs = currentGraphRuntime()
  return graphs ? new GraphSegments(graphs, model, eager) : eager
}

function disposeRows(rows: readonly EncodedRow[]): void {
  for (const { states, bias } of rows) tf.dispose([states, ...(bias ? [bias] : [])])
}
