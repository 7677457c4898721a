// Time of a decoding step at T5-small's shape, batch of one: this engine's `full` beside a naive cached loop of plain
// tf operations, in alternating rounds. tsx bench/tfjsStep.ts <wasm|node> [rounds] [threads] [tokens].
// Random weights; all must emit the same tokens. Prints the rounds' median wall and CPU time a token, encoder apart, and
// the ratios. CPU time is the better measure where other work shares the cores.
import * as tf from '@tensorflow/tfjs'
import { decode, full } from '../src/decoding/index.js'
import type { BackendName } from '../src/engines/tfjs/index.js'
import { chooseBackend } from '../src/engines/tfjs/index.node.js'
import { createTfjsEngine } from '../src/engines/tfjs/index.js'
import { buildModel, initialWeights, relativeBias } from '../src/model/index.js'
import type { HostWeights } from '../src/model/index.js'
import { Random } from '../src/random.js'
import { shapeConfig } from './decode/shapes.js'

const [backend = 'wasm', rounds = '5', threads = '1', numTokens = '64'] = process.argv.slice(2)
const chosen = await chooseBackend({ backend: backend as BackendName, threads: Number(threads) })
const config = shapeConfig('t5-small')
const weights = initialWeights(config, 1)
// A fresh model repeats one token, as the tied head prefers what was put in: layers that say more make it vary.
for (const [name, { data }] of weights) {
  if (/^decoder.*\.output$/.test(name)) for (let i = 0; i < data.length; i++) data[i] *= 6
}
const random = new Random(2)
const source = [...Array.from({ length: 31 }, () => 3 + random.integer(config.vocabSize - 3)), config.eosId]
const maxNewTokens = Number(numTokens)

/** The encoder's output [M, D], once for all rounds. */
function encode(): tf.Tensor2D {
  const model = buildModel(config, weights)
  const inputs = [source, [config.decoderStartId]].map((row) => tf.tensor2d(row, [1, row.length], 'int32'))
  const [states, ...others] = model.statesModel.predict(inputs) as tf.Tensor3D[]
  const flat = tf.reshape(states, [source.length, config.dModel]) as tf.Tensor2D
  tf.dispose([inputs, states, others])
  model.dispose()
  return flat
}

/**
 * A decoder as one writes it first: an operation for each step of the formulas, keys and values of earlier positions kept
 * and concatenated, all logits read to the host. The tied head is read as it is stored, by a product with a transposed
 * operand, or was transposed once.
 */
class NaiveDecoder {
  private readonly tensors: ReadonlyMap<string, tf.Tensor>
  private readonly head: tf.Tensor2D
  private readonly bias: tf.Tensor4D

  constructor(host: HostWeights) {
    this.tensors = new Map(
      [...host]
        .filter(([name]) => !name.startsWith('encoder.'))
        .map(([name, { data, shape }]) => [name, tf.tensor(data, [...shape])]),
    )
    this.head = tf.transpose(this.weight('embedding'))
    const span = { queryStart: 0, queryLength: maxNewTokens, memoryLength: maxNewTokens }
    const buckets = { numBuckets: config.relativeBuckets, maxDistance: config.relativeMaxDistance }
    this.bias = relativeBias(this.weight('decoder.relativeBias'), span, {
      ...buckets,
      bidirectional: false,
      causal: true,
    })
  }

  async decode(states: tf.Tensor2D, isHeadTransposed: boolean): Promise<number[]> {
    const { decoderLayers, eosId, decoderStartId, vocabSize } = config
    const layers = Array.from({ length: decoderLayers }, (_, i) => `decoder.${i}`)
    const crossed = layers.map((layer) =>
      ['key', 'value'].map((part) => this.heads(states, `${layer}.crossAttention.${part}`)),
    )
    let pasts: tf.Tensor[][] = []
    const tokens: number[] = []
    while (tokens.length < maxNewTokens && tokens.at(-1) !== eosId) {
      const input = tokens.at(-1) ?? decoderStartId
      const [logits, ...presents] = tf.tidy(() => {
        let hidden: tf.Tensor2D = tf.gather(this.weight<tf.Tensor2D>('embedding'), [input])
        const presents: tf.Tensor[] = []
        for (const [i, layer] of layers.entries()) {
          const own = `${layer}.selfAttention`
          let normed = this.norm(hidden, `${own}.norm`)
          const present = ['key', 'value'].map((part, j) => {
            const made = this.heads(normed, `${own}.${part}`)
            return pasts.length === 0 ? made : tf.concat([pasts[i][j], made], 1)
          })
          presents.push(...present)
          const length = tokens.length + 1
          const bias = tf.slice(this.bias, [0, 0, length - 1, 0], [1, config.numHeads, 1, length])
          hidden = tf.add(hidden, this.attend(normed, own, present, tf.squeeze(bias, [0])))
          const cross = `${layer}.crossAttention`
          normed = this.norm(hidden, `${cross}.norm`)
          hidden = tf.add(hidden, this.attend(normed, cross, crossed[i]))
          normed = this.norm(hidden, `${layer}.feedForward.norm`)
          const inner = tf.relu(tf.matMul(normed, this.weight(`${layer}.feedForward.input`)))
          hidden = tf.add(hidden, tf.matMul(inner, this.weight(`${layer}.feedForward.output`)))
        }
        const normed = this.norm(hidden, 'decoder.finalNorm')
        const scaled = tf.mul(normed, config.dModel ** -0.5) as tf.Tensor2D
        const logits = isHeadTransposed
          ? tf.matMul(scaled, this.head)
          : tf.matMul(scaled, this.weight<tf.Tensor2D>('embedding'), false, true)
        return [logits, ...presents]
      })
      const values = await logits.data()
      let best = 0
      for (let token = 1; token < vocabSize; token++) if (values[token] > values[best]) best = token
      tokens.push(best)
      tf.dispose([logits, pasts])
      pasts = layers.map((_, i) => presents.slice(2 * i, 2 * i + 2))
    }
    tf.dispose([pasts, crossed])
    return tokens
  }

  private weight<T extends tf.Tensor>(name: string): T {
    return this.tensors.get(name) as T
  }

  private norm(x: tf.Tensor2D, name: string): tf.Tensor2D {
    const meanSquare = tf.mean(tf.square(x), -1, true)
    const inverse = tf.rsqrt(tf.add(meanSquare, config.layerNormEpsilon))
    return tf.mul(tf.mul(x, inverse), this.weight(name))
  }

  /** [P, D] -> [H, P, K]. */
  private heads(x: tf.Tensor2D, name: string): tf.Tensor3D {
    const projected = tf.matMul(x, this.weight<tf.Tensor2D>(name))
    return tf.transpose(tf.reshape(projected, [-1, config.numHeads, config.dKv]), [1, 0, 2])
  }

  private attend(
    normed: tf.Tensor2D,
    name: string,
    [key, value]: tf.Tensor[],
    bias?: tf.Tensor,
  ): tf.Tensor2D {
    const plain = tf.matMul(this.heads(normed, `${name}.query`), key as tf.Tensor3D, false, true)
    const scores = bias ? tf.add(plain, bias) : plain
    const attended = tf.matMul(tf.softmax(scores), value as tf.Tensor3D) // [H, P, K]
    const merged = tf.reshape(tf.transpose(attended, [1, 0, 2]), [-1, config.numHeads * config.dKv])
    return tf.matMul(merged as tf.Tensor2D, this.weight(`${name}.output`))
  }
}

const states = encode()
const naive = new NaiveDecoder(weights)
const engine = createTfjsEngine({ config, weights })
/** What a way emitted, and its time from the encoder's end on. */
interface Run {
  readonly tokens: readonly number[]
  readonly wallMs: number
  readonly cpuMs: number
}

/** Starts a clock, which answers how long ago that was. */
function startClock(): () => Omit<Run, 'tokens'> {
  const [startCpu, start] = [process.cpuUsage(), performance.now()]
  return () => {
    const { user, system } = process.cpuUsage(startCpu)
    return { wallMs: performance.now() - start, cpuMs: (user + system) / 1000 }
  }
}

async function runNaive(isHeadTransposed: boolean): Promise<Run> {
  const clock = startClock()
  const tokens = await naive.decode(states, isHeadTransposed)
  return { tokens, ...clock() }
}

async function runEngine(): Promise<Run> {
  let clock = startClock()
  const tokens: number[] = []
  for await (const event of decode(engine, [source], { policy: full(), maxNewTokens })) {
    if (event.type === 'encoded') clock = startClock()
    if (event.type === 'token') tokens.push(event.token)
  }
  return { tokens, ...clock() }
}

const ways = {
  'naive, head as stored': () => runNaive(false),
  'naive, head transposed': () => runNaive(true),
  engine: runEngine,
}
const runs: Record<string, Run[]> = {}
for (let round = 0; round <= Number(rounds); round++) {
  for (const [name, run] of Object.entries(ways)) {
    const made = await run()
    // The first round warms up.
    if (round > 0) (runs[name] ??= []).push(made)
    else console.log(`${name}: ${made.tokens.slice(0, 12).join(' ')} ...`)
  }
}
const emitted = new Set(Object.values(runs).flatMap((list) => list.map(({ tokens }) => tokens.join())))
if (emitted.size > 1) throw new Error(`tokens differ: ${[...emitted].join('; ')}`)

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const perToken = (name: string, time: 'wallMs' | 'cpuMs') =>
  median(runs[name].map((run) => run[time] / run.tokens.length))
console.log(`${chosen.name}, ${chosen.threads} threads, ${maxNewTokens} tokens, median of ${rounds} rounds`)
for (const name of Object.keys(ways)) {
  const [wall, cpu] = [perToken(name, 'wallMs'), perToken(name, 'cpuMs')]
  const [wallRatio, cpuRatio] = [perToken('engine', 'wallMs') / wall, perToken('engine', 'cpuMs') / cpu]
  console.log(
    `${name.padEnd(24)} ${wall.toFixed(2)} ms a token, ${cpu.toFixed(2)} ms of CPU; ` +
      `engine / this: ${wallRatio.toFixed(2)} wall, ${cpuRatio.toFixed(2)} CPU`,
  )
}
