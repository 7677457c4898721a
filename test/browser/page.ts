// The page of these tests: it does what a user's page does, with the example's own modules, and hands out what came of it.
import * as tf from '@tensorflow/tfjs'
import { decodeAll, parseDecodingOptions, policyFor, type EngineInfo, type RowResult } from 'shallowdeep'
import { chooseBackend, registerLayers, type BackendName } from 'shallowdeep/tfjs'
import { openOnOnnx } from '../../docs/examples/browser/onnxModel.js'
import { openOnTfjs } from '../../docs/examples/browser/tfjsModel.js'

/** What to decode, and on what. */
export interface DecodeRequest {
  /** A backend of tfjs, or what ONNX Runtime computes in. */
  readonly engine:
    { readonly backend: BackendName; readonly dtype?: 'int8' } | { readonly dtype: 'float32' | 'q4' }
  readonly threads?: number
  readonly sentences: readonly string[]
  /** By any name: decoding options. */
  readonly policies: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export type DecodedRow = Pick<RowResult, 'tokens' | 'exits' | 'confidences'>

export interface DecodeOutcome {
  readonly info: EngineInfo
  /** By policy. */
  readonly rows: Readonly<Record<string, readonly DecodedRow[]>>
}

/** The inputs of a layers model, [B, M] and [B, T]. */
export interface LayersRequest {
  readonly url: string
  readonly encoderTokens: readonly (readonly number[])[]
  readonly decoderTokens: readonly (readonly number[])[]
}

const api = {
  async decode({ engine: asked, threads, sentences, policies }: DecodeRequest): Promise<DecodeOutcome> {
    const open =
      'backend' in asked
        ? openOnTfjs('checkpoint', { ...asked, threads })
        : openOnOnnx('checkpoint', { ...asked, threads })
    const model = await open
    const { engine, tokenizer } = model
    const sources = sentences.map((sentence) => tokenizer.encode(sentence))
    const rows: Record<string, DecodedRow[]> = {}
    try {
      for (const [name, json] of Object.entries(policies)) {
        const options = parseDecodingOptions(json, name)
        const policy = policyFor(model, options)
        const results = await decodeAll(engine, sources, { policy, maxNewTokens: 64 })
        rows[name] = results.map(({ tokens, exits, confidences }) => ({ tokens, exits, confidences }))
      }
      return { info: engine.info, rows }
    } finally {
      engine.dispose()
    }
  },

  /** Logits of both exits, flat. */
  async runLayersModel({ url, encoderTokens, decoderTokens }: LayersRequest): Promise<number[][]> {
    await chooseBackend({ wasmPath: new URL('wasm/', document.baseURI).href })
    registerLayers()
    const model = await tf.loadLayersModel(url)
    const inputs = [encoderTokens, decoderTokens].map((rows) =>
      tf.tensor2d(
        rows.map((row) => [...row]),
        undefined,
        'int32',
      ),
    )
    return (model.predict(inputs) as tf.Tensor[]).map((logits) => [...logits.dataSync()])
  },
}

declare global {
  var pageOfTests: typeof api
}
globalThis.pageOfTests = api
