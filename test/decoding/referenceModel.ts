// T5 in plain JavaScript and float64, written from the formulas, sharing nothing with src/model: the oracle of the
// decoding tests. What it knows of a position is a pure function of the tokens up to it, remembered by these tokens.
import type { ModelConfig } from '../../src/config/index.js'
import type { HostWeights } from '../../src/model/index.js'

type Vector = Float64Array

/** Everything known of one decoder position. */
interface PositionStates {
  /** Raw state after each layer; index 0 is the embedding. */
  readonly states: readonly Vector[]
  readonly keys: readonly Vector[]
  readonly values: readonly Vector[]
}

/** An encoded source. */
export interface ReferenceSource {
  readonly keys: readonly (readonly Vector[])[]
  readonly values: readonly (readonly Vector[])[]
  readonly memo: Map<string, PositionStates>
  readonly logits: Map<string, Float64Array>
}

/** One model. */
export class ReferenceModel {
  constructor(
    readonly config: ModelConfig,
    private readonly weights: HostWeights,
  ) {}

  encode(tokens: readonly number[]): ReferenceSource {
    const { encoderLayers, decoderLayers, padId } = this.config
    let states = tokens.map((token) => this.embedding(token))
    const isReal = tokens.map((token) => token !== padId)
    for (let layer = 0; layer < encoderLayers; layer++) {
      const prefix = `encoder.${layer}.attention`
      const normed = states.map((x) => this.norm(x, `${prefix}.norm`))
      const [queries, keys, values] = ['query', 'key', 'value'].map((part) =>
        normed.map((x) => this.linear(x, `${prefix}.${part}`)),
      )
      states = states.map((x, i) => {
        const bias = (head: number, j: number) =>
          this.positionBias('encoder', j - i, head) + (isReal[j] ? 0 : -1e9)
        const attended = this.attend(queries[i], keys, values, bias)
        const after = plus(x, this.linear(attended, `${prefix}.output`))
        return this.feedForward(after, `encoder.${layer}.feedForward`)
      })
    }
    const output = states.map((x) => this.norm(x, 'encoder.finalNorm'))
    const read = (part: string) =>
      Array.from({ length: decoderLayers }, (_, layer) =>
        output.map((x) => this.linear(x, `decoder.${layer}.crossAttention.${part}`)),
      )
    // Padding is left out here rather than masked: a masked position has weight zero.
    const real = <T>(byLayer: T[][]) => byLayer.map((list) => list.filter((_, j) => isReal[j]))
    return { keys: real(read('key')), values: real(read('value')), memo: new Map(), logits: new Map() }
  }

  /** Raw states after layers 0 (embedding) to L of the last of these decoder input tokens. */
  states(source: ReferenceSource, tokens: readonly number[]): readonly Vector[] {
    return this.position(source, tokens).states
  }

  /** Logits of the exit after `layer` (from 1) at the last of these decoder input tokens. */
  logits(source: ReferenceSource, tokens: readonly number[], layer: number): Float64Array {
    const key = `${layer}:${tokens.join()}`
    const known = source.logits.get(key)
    if (known) return known
    const { config } = this
    const normed = this.norm(this.states(source, tokens)[layer], 'decoder.finalNorm')
    const scaled = config.scaleLogits ? normed.map((x) => x / Math.sqrt(config.dModel)) : normed
    const logits = config.tieEmbeddings
      ? Float64Array.from({ length: config.vocabSize }, (_, token) => dot(scaled, this.embedding(token)))
      : this.linear(scaled, 'head')
    source.logits.set(key, logits)
    return logits
  }

  private position(source: ReferenceSource, tokens: readonly number[]): PositionStates {
    const key = tokens.join()
    const known = source.memo.get(key)
    if (known) return known
    const earlier = tokens.slice(1).map((_, i) => this.position(source, tokens.slice(0, i + 1)))
    const last = tokens.length - 1
    const states = [this.embedding(tokens[last])]
    const [keys, values]: Vector[][] = [[], []]
    for (let layer = 0; layer < this.config.decoderLayers; layer++) {
      let x = states[layer]
      const self = `decoder.${layer}.selfAttention`
      const normed = this.norm(x, `${self}.norm`)
      keys.push(this.linear(normed, `${self}.key`))
      values.push(this.linear(normed, `${self}.value`))
      const attended = this.attend(
        this.linear(normed, `${self}.query`),
        [...earlier.map((position) => position.keys[layer]), keys[layer]],
        [...earlier.map((position) => position.values[layer]), values[layer]],
        (head, j) => this.positionBias('decoder', j - last, head),
      )
      x = plus(x, this.linear(attended, `${self}.output`))
      const cross = `decoder.${layer}.crossAttention`
      const query = this.linear(this.norm(x, `${cross}.norm`), `${cross}.query`)
      const read = this.attend(query, source.keys[layer], source.values[layer], () => 0)
      x = plus(x, this.linear(read, `${cross}.output`))
      states.push(this.feedForward(x, `decoder.${layer}.feedForward`))
    }
    const result = { states, keys, values }
    source.memo.set(key, result)
    return result
  }

  private embedding(token: number): Vector {
    const { dModel } = this.config
    return Float64Array.from(
      this.weights.get('embedding')!.data.subarray(token * dModel, (token + 1) * dModel),
    )
  }

  private linear(x: Vector, name: string): Vector {
    const { shape, data } = this.weights.get(name)!
    const result = new Float64Array(shape[1])
    for (let i = 0; i < shape[0]; i++) {
      for (let j = 0; j < shape[1]; j++) result[j] += x[i] * data[i * shape[1] + j]
    }
    return result
  }

  private norm(x: Vector, name: string): Vector {
    const { data } = this.weights.get(name)!
    const rms = Math.sqrt(dot(x, x) / x.length + this.config.layerNormEpsilon)
    return x.map((value, i) => (value / rms) * data[i])
  }

  private feedForward(x: Vector, prefix: string): Vector {
    const normed = this.norm(x, `${prefix}.norm`)
    const input = this.linear(normed, `${prefix}.input`)
    const inner =
      this.config.feedForward === 'relu'
        ? input.map((value) => Math.max(0, value))
        : this.linear(normed, `${prefix}.gate`).map((gate, i) => geluTanh(gate) * input[i])
    return plus(x, this.linear(inner, `${prefix}.output`))
  }

  private attend(
    query: Vector,
    keys: readonly Vector[],
    values: readonly Vector[],
    bias: (head: number, memory: number) => number,
  ): Vector {
    const { numHeads, dKv } = this.config
    const result = new Float64Array(numHeads * dKv)
    for (let head = 0; head < numHeads; head++) {
      const [from, to] = [head * dKv, (head + 1) * dKv]
      const part = query.subarray(from, to)
      const scores = keys.map((key, j) => dot(part, key.subarray(from, to)) + bias(head, j))
      softmax(scores).forEach((weight, j) => {
        for (let k = from; k < to; k++) result[k] += weight * values[j][k]
      })
    }
    return result
  }

  /** `distance` = memory - query. */
  private positionBias(stack: 'encoder' | 'decoder', distance: number, head: number): number {
    const { relativeBuckets, relativeMaxDistance, numHeads } = this.config
    let buckets = relativeBuckets
    let first = 0
    let away = -distance
    if (stack === 'encoder') {
      buckets = Math.floor(buckets / 2)
      if (distance > 0) first = buckets
      away = Math.abs(distance)
    }
    const exact = Math.floor(buckets / 2)
    let bucket = Math.max(0, away)
    if (bucket >= exact) {
      const share = Math.fround(Math.log(bucket / exact)) / Math.fround(Math.log(relativeMaxDistance / exact))
      bucket = Math.min(buckets - 1, exact + Math.floor(Math.fround(share) * (buckets - exact)))
    }
    return this.weights.get(`${stack}.relativeBias`)!.data[(first + bucket) * numHeads + head]
  }
}

/** Probabilities of logits. */
export function softmax(logits: ArrayLike<number>): number[] {
  const all = Array.from(logits)
  const max = Math.max(...all)
  const exponentials = all.map((x) => Math.exp(x - max))
  const sum = exponentials.reduce((a, b) => a + b, 0)
  return exponentials.map((x) => x / sum)
}

function dot(a: Vector, b: Vector): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

function plus(a: Vector, b: Vector): Vector {
  return a.map((x, i) => x + b[i])
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
}
