// The profit rule for a checkpoint: its costs measured on this machine, once, or as somebody saved them.
import { createRequire } from 'node:module'
import { arch, availableParallelism, cpus } from 'node:os'
import type { ConfidenceName, MatrixGroup } from '../config/index.js'
import { confidenceMeasure, policyCalibrator, type Policy, type Selection } from '../decoding/index.js'
import { ProfitRule, type DecodingCosts, type ProfitDecision } from '../evaluation/index.js'
import { keepCosts, type CostsKey } from './costCache.node.js'
import { measureSegmentCosts, type MeasureCostsOptions } from './measureDepths.js'
import type { OpenedCheckpoint } from './openCheckpoint.node.js'

/** A model, and how it is to be decoded. */
export interface ProfitOptions {
  readonly checkpoint: Pick<OpenedCheckpoint, 'engine' | 'config' | 'calibration'>
  /** What the engine was told beside what its `info` says. Neutral: none. */
  readonly keepFloat?: readonly MatrixGroup[]
  readonly policy: Policy
  readonly confidence: ConfidenceName
  /** As the decoding loop is told. Neutral: false. */
  readonly exactConfidence?: boolean
  /** As the decoding loop is told. Neutral: false. */
  readonly evidence?: boolean
  /** As the decoding loop is told. Neutral: undefined, where a calibrator wants it. */
  readonly flushAtEnd?: boolean
  /** Neutral: greedily. */
  readonly selection?: Selection
  /** Rows decoded together. Neutral: 1. */
  readonly batchSize?: number
  /** Neutral: undefined, kept ones of this machine, else measured and kept. */
  readonly costs?: DecodingCosts
  /** Where they are kept. Neutral: the user's cache folder. */
  readonly cacheFolder?: string
  /** Called before something is measured, which takes a few seconds. */
  readonly onMeasure?: () => void
  /** Told, a line each, of kept costs that are no good and of a folder that cannot be written. */
  readonly onWarning?: (text: string) => void
  readonly onDecision?: (decision: ProfitDecision) => void
  /** Milliseconds from any origin. Neutral: performance.now. */
  readonly now?: () => number
  readonly signal?: AbortSignal
}

/**
 * Tokens of the source and positions before the passes that are measured: with longer ones all layers cost more, about in
 * the same proportion.
 */
const [SOURCE_LENGTH, CONTEXT_LENGTH] = [32, 16]

/** A rule for one run over many sequences. Throws what the engine throws; rejects with `signal.reason` when aborted. */
export async function openProfitRule(options: ProfitOptions): Promise<ProfitRule> {
  const { checkpoint, confidence, cacheFolder, onMeasure, onWarning, onDecision } = options
  const costs =
    options.costs ??
    (await keepCosts(costsKeyOf(options), {
      folder: cacheFolder,
      onWarning,
      measure: () => {
        onMeasure?.()
        return measureCosts(options)
      },
    }))
  const { calibration, engine } = checkpoint
  const isOfThisExit =
    calibration?.shallowLayers === engine.info.shallowLayers && calibration.confidence === confidence
  return new ProfitRule({ costs, onDecision, ...(isOfThisExit && { calibration }) })
}

async function measureCosts(options: ProfitOptions): Promise<DecodingCosts> {
  const { checkpoint, confidence, batchSize, now, signal } = options
  const { engine } = checkpoint
  const { eosId, shallowLayers } = engine.info
  const { costs, fullMs } = await measureSegmentCosts({
    engine,
    source: new Int32Array(SOURCE_LENGTH).fill(eosId),
    contextLength: CONTEXT_LENGTH,
    depths: [shallowLayers],
    confidence,
    batchSize,
    ...needsOf(options),
    asksAll: asksAll(options),
    exactConfidence: isExact(options),
    now,
    signal,
  })
  return { ...costs[0], fullMs }
}

function needsOf({
  policy,
  selection,
}: ProfitOptions): Required<Pick<MeasureCostsOptions, 'tokenNeeds' | 'verifyNeeds'>> {
  return { tokenNeeds: selection?.needs ?? [], verifyNeeds: policy.verify?.needs ?? [] }
}

/** Whether every flush gives evidence, and gives it whole. Most of an adaptive calibrator's do not once there is plenty. */
function flushesWhole({ policy, flushAtEnd = false }: ProfitOptions): boolean {
  return policy.verify !== undefined || flushAtEnd
}

/** Whether confidences are asked for to the last digit. */
function isExact(options: ProfitOptions): boolean {
  const isAdaptive = policyCalibrator(options.policy)?.isAdaptive ?? false
  return (options.exactConfidence ?? false) || (isAdaptive && flushesWhole(options))
}

/** Whether flushes ask the last exit for all positions. */
function asksAll(options: ProfitOptions): boolean {
  return (options.evidence ?? false) || flushesWhole(options)
}

/** Everything that the costs depend on. */
function costsKeyOf(options: ProfitOptions): CostsKey {
  const { checkpoint, keepFloat = [], confidence, batchSize = 1 } = options
  const { engine, backend, dtype, threads, shallowLayers, decoderLayers, vocabSize } = checkpoint.engine.info
  const { dModel, numHeads, dKv, dFf, feedForward } = checkpoint.config
  const { needs } = confidenceMeasure(confidence, checkpoint.engine.info)
  const { tokenNeeds, verifyNeeds } = needsOf(options)
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  return {
    ...{ engine, backend, dtype, threads, keepFloat: [...keepFloat].sort(), batchSize },
    ...{ shallowLayers, decoderLayers, vocabSize, dModel, numHeads, dKv, dFf, feedForward },
    ...{ exactConfidence: isExact(options), asksAll: asksAll(options) },
    ...{ shallowNeeds: [...needs, ...tokenNeeds], deepNeeds: [...tokenNeeds, ...verifyNeeds] },
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    ...{ cores: availableParallelism(), arch: arch(), node: process.versions.node, shallowdeep: version },
  }
}
