// Passes of random states through a model's layers, by any way through them and operation by operation.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import type { ModelConfig } from '../../../src/config/index.js'
import { uploadWeights } from '../../../src/engines/tfjs/decoderWeights.js'
import type { EngineWeights, UploadOptions } from '../../../src/engines/tfjs/decoderWeights.js'
import type { ExitChoice } from '../../../src/decoding/index.js'
import { chooseInGraph } from '../../../src/engines/tfjs/exitChoice.js'
import type { PackedChoice } from '../../../src/engines/tfjs/segmentExit.js'
import { PositionBias } from '../../../src/engines/tfjs/positionBias.js'
import { EagerSegments } from '../../../src/engines/tfjs/segments.js'
import type {
  KeptStates,
  SegmentGroup,
  SegmentInput,
  SegmentOutput,
  SegmentRunner,
  StateRows,
} from '../../../src/engines/tfjs/segments.js'
import type { HostWeights, LayerShape } from '../../../src/model/index.js'

/** Largest difference of two tensors, of one shape, over the largest magnitude in either, or over 1. */
export function distance(actual: tf.Tensor, expected: tf.Tensor): number {
  assert.deepEqual(actual.shape, expected.shape)
  const [a, b] = [actual.dataSync(), expected.dataSync()]
  assert.ok(a.every(Number.isFinite))
  const most = Math.max(1, ...Array.from(b, Math.abs))
  return Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]))) / most
}

export interface Pass {
  readonly rows: number
  readonly positions: number
  readonly past: number
  /** Rows share one source, or have one each. */
  readonly memories: 'shared' | 'own'
  readonly isMasked: boolean
}

export const passes: Record<string, Pass> = {
  'a first position': { rows: 1, positions: 1, past: 0, memories: 'shared', isMasked: false },
  'a later one': { rows: 1, positions: 1, past: 7, memories: 'shared', isMasked: true },
  'several at once': { rows: 1, positions: 5, past: 4, memories: 'shared', isMasked: true },
  'rows of one source': { rows: 4, positions: 1, past: 3, memories: 'shared', isMasked: false },
  'rows of their own sources, several positions': {
    rows: 3,
    positions: 2,
    past: 3,
    memories: 'own',
    isMasked: true,
  },
}

/** What a way through the layers is made from. */
export interface RunnerModel {
  readonly weights: EngineWeights
  readonly bias: PositionBias
  readonly shape: LayerShape
}

/** Ways through one model's layers; what they keep of them is told as the eager one does. */
export interface Ways {
  readonly own: SegmentRunner
  readonly eager: SegmentRunner
}

/** A way that keeps keys and values of all layers beside each other, as one that keeps them apart. */
function apart(runner: SegmentRunner): SegmentRunner {
  return {
    run: ({ groups, ...input }) => {
      const beside = groups.map((group) => ({
        ...group,
        past: group.past && [tf.concat([...group.past], 1)],
      }))
      const { present, ...output } = runner.run({ ...input, groups: beside })
      const numParts = 2 * (input.to - input.from)
      return {
        ...output,
        present: present.map(([kept]): KeptStates => tf.split(kept, numParts, 1)),
      }
    },
    crossKeyValue: (layer, source) => runner.crossKeyValue(layer, source),
    encoderLayers: (hidden, bias) => runner.encoderLayers(hidden, bias),
    dispose: () => runner.dispose(),
  }
}

export interface Model {
  readonly config: ModelConfig
  readonly weights: HostWeights
}

/** Both ways, inside a tidy, all that they keep disposed afterwards; `upload`: how the weights are for the own one. */
export function withWays(
  { config, weights: host }: Model,
  {
    upload,
    keeps = 'apart',
    make,
  }: {
    readonly upload?: UploadOptions
    readonly keeps?: 'apart' | 'beside'
    make(model: RunnerModel, eager: SegmentRunner): SegmentRunner
  },
  use: (ways: Ways) => void,
): void {
  const shape = {
    numHeads: config.numHeads,
    gated: config.feedForward === 'gated-gelu',
    epsilon: config.layerNormEpsilon,
  }
  const plain = uploadWeights(config, host)
  const weights = upload ? uploadWeights(config, host, upload) : plain
  const bias = new PositionBias(plain.decoder.relativeBias, {
    numBuckets: config.relativeBuckets,
    maxDistance: config.relativeMaxDistance,
    bidirectional: false,
  })
  const eager = new EagerSegments(plain, bias, shape)
  const made = make({ weights, bias, shape }, eager)
  const own = keeps === 'beside' ? apart(made) : made
  try {
    tf.tidy(() => use({ own, eager }))
  } finally {
    own.dispose()
    bias.dispose()
    for (const each of new Set([plain, weights])) each.dispose()
  }
}

/** Random tensors, the same ones each time. */
export function randomTensors() {
  let seed = 1
  return <T extends tf.Tensor>(...sizes: number[]): T =>
    tf.reshape<tf.Rank>(tf.randomNormal([tf.util.sizeFromShape(sizes)], 0, 1, 'float32', seed++), sizes) as T
}

/** A group for passes through any layers; call it inside a tidy. */
export function randomGroup(
  { numHeads, dKv, decoderLayers }: ModelConfig,
  pass: Pass,
  random = randomTensors(),
): (from: number, to: number) => SegmentGroup {
  const heads = (batch: number, length: number) => random<tf.Tensor4D>(batch, numHeads, length, dKv)
  const { rows, positions, past, memories, isMasked } = pass
  const batch = memories === 'own' ? rows : 1
  const mask = tf.tensor([0, 0, 0, 0, -1e9, -1e9], [1, 1, 1, 6]) as tf.Tensor4D
  const layers = Array.from({ length: decoderLayers }, () => ({
    past: past === 0 ? [] : [heads(rows, past), heads(rows, past)],
    memory: { key: heads(batch, 6), value: heads(batch, 6) },
  }))
  return (from, to) => ({
    batch: rows,
    numPositions: positions,
    first: past,
    past: past === 0 ? undefined : layers.slice(from, to).flatMap((layer) => layer.past),
    memory: { bias: isMasked ? mask : undefined, at: (layer) => layers[layer].memory },
  })
}

/**
 * Each segment [0, 1] and [1, L] with each kind of exit, both ways; the eager way's choice is made where the own way is
 * asked for it.
 */
export function runBothWays(
  { own, eager }: Ways,
  { dModel, decoderLayers }: ModelConfig,
  groups: readonly ((from: number, to: number) => SegmentGroup)[],
  check: (actual: SegmentOutput, expected: SegmentOutput) => void,
): void {
  const random = randomTensors()
  for (const [from, to] of [
    [0, 1],
    [1, decoderLayers],
  ]) {
    const ofSegment = groups.map((group) => group(from, to))
    const rows = ofSegment.reduce((sum, { batch, numPositions }) => sum + batch * numPositions, 0)
    const some = [...new Set([rows >> 1, rows - 1])]
    const exits = [
      { choice: undefined, wantsLogits: false },
      { choice: 'token', wantsLogits: true },
      { choice: 'token', wantsLogits: false },
      { choice: 'probabilities', wantsLogits: false },
    ] as const
    const asked = rows > 1 ? exits.flatMap((exit) => [exit, { ...exit, positions: some }]) : exits
    for (const exit of [undefined, ...asked]) {
      const input: SegmentInput = {
        from,
        to,
        hidden: inTwoParts(random(rows + 1, dModel)),
        groups: ofSegment,
        exit,
      }
      const expected = eager.run(input)
      const features = exit?.choice === 'probabilities' ? ['probabilities' as const] : []
      const query = { features, numCandidates: 1, unmasked: expected.logits! }
      const packed = exit?.choice && chooseInGraph(expected.logits!, query).packed
      const choices = exit?.choice && readChoices(packed!.arraySync(), exit.choice)
      check(own.run(input), { ...expected, packed, choices })
    }
  }
}

/** All but the first of some states, the last one by itself. */
function inTwoParts(states: tf.Tensor2D): StateRows[] {
  const count = states.shape[0] - 1
  const last = { states, start: count, count: 1 }
  return count === 1 ? [last] : [{ states, start: 1, count: count - 1 }, last]
}

/** What is packed, read. */
function readChoices(packed: unknown, choice: PackedChoice): ExitChoice[] {
  if (choice === 'token') return (packed as number[]).map((token) => ({ token }))
  return (packed as number[][]).map(([token, , first, second, top1]) => ({
    token,
    top1,
    top2: top1 * Math.exp(second - first),
  }))
}

/** The largest distance of what both ways give. */
export function distanceOf(actual: SegmentOutput, expected: SegmentOutput): number {
  assert.equal(actual.logits === undefined && !actual.choices, expected.logits === undefined)
  const pairs: (readonly [tf.Tensor, tf.Tensor])[] = [[actual.hidden, expected.hidden]]
  if (actual.packed) pairs.push([actual.packed, expected.packed!])
  if (actual.logits) pairs.push([actual.logits, expected.logits!])
  for (const [n, { token, top1 = 0, top2 = 0 }] of (actual.choices ?? []).entries()) {
    const exact = expected.choices![n]
    assert.equal(token, exact.token)
    pairs.push([tf.tensor1d([top1, top2]), tf.tensor1d([exact.top1 ?? 0, exact.top2 ?? 0])])
  }
  assert.equal(actual.present.length, expected.present.length)
  for (const [group, kept] of expected.present.entries()) {
    assert.equal(actual.present[group].length, kept.length)
    for (const [i, states] of kept.entries()) pairs.push([actual.present[group][i], states])
  }
  return Math.max(...pairs.map(([a, b]) => distance(a, b)))
}
