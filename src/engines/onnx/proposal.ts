// The arg-max of the float32 head without reading all of it: an 8-bit head proposes a few tokens, these are compared in
// float64, and a bound shows that no other can be the one. Where nothing is shown, the head itself is to be asked.
import { BLOCK_SIZE } from '../../config/index.js'
import { NUM_PROPOSED } from '../../onnx/index.js'
import type { ModelGraphs } from './graphs.js'

/** What the float32 head chooses at states [N, D], undefined where that is not proven. */
export async function proposeTokens(
  graphs: ModelGraphs,
  states: Float32Array,
): Promise<(number | undefined)[]> {
  const { dModel } = graphs.config
  const numPositions = states.length / dModel
  const normed = Array.from({ length: numPositions }, (_, n) =>
    normedState(graphs, states.subarray(n * dModel, (n + 1) * dModel)),
  )
  const rounding = roundingOf(dModel)
  const spread = Float32Array.from(
    normed.flatMap((state) => {
      const length = lengthOf(state)
      return [length * (1 + rounding), stepsOf(state) + length * rounding]
    }),
  )
  const session = await graphs.proposal()
  const outputs = await session.run(
    {
      states: graphs.tensor(states, [numPositions, dModel]),
      spread: graphs.tensor(spread, [numPositions, 2]),
    },
    { upper: null, tokens: null },
  )
  const upper = outputs.upper.data as Float32Array
  const tokens = Array.from(outputs.tokens.data as BigInt64Array, Number)
  return normed.map((state, n) => {
    const end = (n + 1) * NUM_PROPOSED
    return provenBest(graphs, state, { tokens: tokens.slice(end - NUM_PROPOSED, end), rest: upper[end - 1] })
  })
}

/** Four times what a sum of D products in float32 may be off by, as a share of the product of the factors' lengths. */
function roundingOf(dModel: number): number {
  return (dModel + 8) * 2 ** -22
}

/** The token whose logit is largest by more than rounding, among those proposed and above what the rest can reach. */
function provenBest(
  graphs: ModelGraphs,
  state: Float64Array,
  { tokens, rest }: { readonly tokens: readonly number[]; readonly rest: number },
): number | undefined {
  const slack = roundingOf(state.length) * lengthOf(state)
  const logits = tokens.map((token) => {
    const { logit, length } = logitOf(graphs, state, token)
    return { token, low: logit - slack * length, high: logit + slack * length }
  })
  const best = logits.reduce((best, other) => (other.low > best.low ? other : best))
  const isProven = best.low > rest && logits.every((other) => other === best || best.low > other.high)
  return isProven ? best.token : undefined
}

/** A token's logit, and the length of its column of the head. */
function logitOf(
  { config, weights }: ModelGraphs,
  state: Float64Array,
  token: number,
): { readonly logit: number; readonly length: number } {
  const { data } = weights.get(config.tieEmbeddings ? 'embedding' : 'head')!
  const [start, step] = config.tieEmbeddings ? [token * config.dModel, 1] : [token, config.vocabSize]
  let [logit, squares] = [0, 0]
  for (let d = 0, i = start; d < state.length; d++, i += step) {
    logit += state[d] * data[i]
    squares += data[i] * data[i]
  }
  return { logit, length: Math.sqrt(squares) }
}

/** A state as the head reads it. */
function normedState({ config, weights }: ModelGraphs, state: Float32Array): Float64Array {
  const norm = weights.get('decoder.finalNorm')!.data
  const scale = config.scaleLogits ? config.dModel ** -0.5 : 1
  const inverse = scale / Math.sqrt(lengthOf(state) ** 2 / state.length + config.layerNormEpsilon)
  return Float64Array.from(state, (x, d) => x * inverse * norm[d])
}

/** How far a state's 8-bit form can be from it: a step of each block at every number, which is twice what rounding does. */
function stepsOf(state: Float64Array): number {
  let squares = 0
  for (let start = 0; start < state.length; start += BLOCK_SIZE) {
    let most = 0
    for (const x of state.subarray(start, start + BLOCK_SIZE)) most = Math.max(most, Math.abs(x))
    squares += BLOCK_SIZE * (most / 127) ** 2
  }
  return Math.sqrt(squares)
}

function lengthOf(vector: Float32Array | Float64Array): number {
  let squares = 0
  for (const x of vector) squares += x * x
  return Math.sqrt(squares)
}
