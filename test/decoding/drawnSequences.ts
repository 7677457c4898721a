// Draws many outputs of a tiny model and compares their counts with the exact probabilities of all sequences.
import assert from 'node:assert/strict'
import { parseModelConfig } from '../../src/config/index.js'
import { decodeAll, warp } from '../../src/decoding/index.js'
import type { DecodeOptions, DecoderEngine, RowResult, WarpOptions } from '../../src/decoding/index.js'
import { weightsOf, type LawCase } from './randomCases.js'
import { ReferenceModel } from './referenceModel.js'

const EOS = 1
/** Tokens of an output at most. */
export const LENGTH = 3
export const SOURCE = [3, 5, EOS]

/** Eight tokens, two layers, and exits that differ much. */
const drawn: LawCase = {
  config: parseModelConfig(
    {
      ...{ vocabSize: 8, dModel: 16, numHeads: 2, dKv: 6, dFf: 24, encoderLayers: 1 },
      ...{
        decoderLayers: 2,
        shallowLayers: 1,
        feedForward: 'relu',
        tieEmbeddings: false,
        scaleLogits: false,
      },
    },
    'tiny model',
  ),
  ...{ seed: 21, deepGain: 0.6, eosGain: 1, sources: [SOURCE], thresholds: [0], maxPending: null },
  maxNewTokens: LENGTH,
}

export const tinyWeights = weightsOf(drawn)
export const { config: tinyConfig } = drawn
export const tinyModel = new ReferenceModel(tinyConfig, tinyWeights)

/** Probability of every output of the exit after `layer`, by its tokens. */
export function exactProbabilities(options: WarpOptions, layer: number): Map<string, number> {
  const source = tinyModel.encode(SOURCE)
  const found = new Map<string, number>()
  const visit = (tokens: readonly number[], probability: number) => {
    if (tokens.at(-1) === EOS || tokens.length === LENGTH) {
      found.set(tokens.join(), probability)
      return
    }
    const logits = tinyModel.logits(source, [tinyConfig.decoderStartId, ...tokens], layer)
    for (const [token, p] of warp(logits, options).entries())
      if (p > 0) visit([...tokens, token], probability * p)
  }
  visit([], 1)
  return found
}

/** Decodes the tiny model's source many times. */
export function drawMany(
  engine: DecoderEngine,
  numDraws: number,
  options: DecodeOptions,
): Promise<RowResult[]> {
  const sources = Array<number[]>(numDraws).fill(SOURCE)
  return decodeAll(engine, sources, { ...options, maxNewTokens: LENGTH, batchSize: 50 })
}

/**
 * Pearson's chi-square of counts against exact probabilities, as a standard normal deviate (Wilson and Hilferty 1931);
 * outputs that are expected fewer than five times count together. Infinite where an output is impossible.
 */
export function deviationOf(results: readonly RowResult[], exact: ReadonlyMap<string, number>): number {
  const counts = new Map<string, number>()
  for (const { tokens } of results) counts.set(tokens.join(), (counts.get(tokens.join()) ?? 0) + 1)
  if ([...counts.keys()].some((tokens) => !exact.has(tokens))) return Infinity
  const cells: [expected: number, count: number][] = []
  const rare: [expected: number, count: number] = [0, 0]
  for (const [tokens, probability] of exact) {
    const [expected, count] = [probability * results.length, counts.get(tokens) ?? 0]
    if (expected >= 5) cells.push([expected, count])
    else {
      rare[0] += expected
      rare[1] += count
    }
  }
  if (rare[0] >= 5) cells.push(rare)
  assert.ok(cells.length > 20, `${cells.length} cells only`)
  const chiSquare = cells.reduce((sum, [expected, count]) => sum + (count - expected) ** 2 / expected, 0)
  const spread = 2 / (9 * (cells.length - 1))
  return (Math.cbrt(chiSquare / (cells.length - 1)) - (1 - spread)) / Math.sqrt(spread)
}
