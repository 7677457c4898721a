// What a policy is: where it may exit, when a position leaves early, and what a flush does to the stack.
import type { Calibrator } from '../../calibration/index.js'
import type { PolicyName } from '../../config/index.js'
import type { EngineInfo, ExitChoice, ExitFeature } from '../engine.js'
import type { Draft, Selector } from '../selection/selector.js'

/** What a policy knows when the newest position of a row has passed an exit before the last. */
export interface Step {
  /** In [0, 1]. */
  readonly confidence: number
  /** The row's threshold, in [0, 1]. */
  readonly threshold: number
  /** Whether the pending stack holds `maxPending` positions. */
  readonly isStackFull: boolean
}

/** What a flush does to the positions that were pending. */
export interface Verification {
  /** What the deep exit must be asked for. */
  readonly needs: readonly ExitFeature[]
  /**
   * The token that is to stand at a pending position: the draft's own, or another; then what came after is dropped.
   * Asked for one position after the other, oldest first, up to the first that is replaced.
   */
  token(draft: Draft, deep: ExitChoice, selector: Selector): number
}

/** The rule that decides per token. */
export interface Policy {
  readonly name: PolicyName
  /** Where the rows' threshold comes from; null where there is none. A calibrator also receives the evidence it wants. */
  readonly threshold: number | Calibrator | null
  /**
   * Layers after which an exit is, rising; the last is where its deepest tokens come from.
   * Throws `decoding.exit-layer` where the model has no such layer.
   */
  exits(info: EngineInfo): readonly number[]
  /** Whether the exits before the last are looked at; false spares their cost. */
  readonly isEarly: boolean
  /** Whether the position leaves here, with this exit's token; else it goes deeper. Asked only where `isEarly`. */
  leaves(step: Step): boolean
  /**
   * Neutral: undefined, all pending tokens stand, and tokens are final as they are emitted. Where it is given, nothing
   * is final before a flush, and a row always flushes before it ends.
   */
  readonly verify?: Verification
}

/** The exits of every policy that uses the model's own two. */
export function shallowAndDeep(info: EngineInfo): readonly number[] {
  return [info.shallowLayers, info.decoderLayers]
}

/** The calibrator that a policy's threshold comes from; undefined where it is a number or there is none. */
export function policyCalibrator({ threshold }: Policy): Calibrator | undefined {
  return typeof threshold === 'object' && threshold !== null ? threshold : undefined
}
