// The state of one row and its transitions: a position begins, is seen at an exit, leaves or settles with a flush.
// No engine and no events here.
import type { EngineInfo } from './engine.js'
import type { Exit, FinishReason, FlushedPosition, RowResult } from './events.js'
import type { Policy } from './policies/index.js'

/** A position that has begun and whose deep layers have not run. */
interface Position {
  readonly index: number
  /** The shallow exit's choice; null where that exit was not looked at. */
  token: number | null
  confidence: number | null
  isForced: boolean
}

/** A token as it was emitted. */
export interface Emission {
  readonly position: number
  readonly token: number
  readonly exitLayer: number
  readonly confidence: number | null
  readonly flushSize: number
  readonly retracted: number
  readonly isForced: boolean
}

/** What a row is to do next; `closing` needs one more flush. */
export type Phase = 'open' | 'closing' | 'ended'

/** What does not change while a row is decoded. */
export interface RowSettings {
  readonly index: number
  readonly threshold: number | null
  readonly maxNewTokens: number
  readonly flushesAtEnd: boolean
  readonly info: EngineInfo
}

/** One row of a batch. */
export class RowState {
  /** Positions that left early, oldest first. */
  private pending: Position[] = []
  /** The newest position while it is on its way; null between steps. */
  private current: Position | null = null
  private emissions: Emission[] = []
  private readonly flushes: number[] = []
  private readonly forced: number[] = []
  private readonly evidence: FlushedPosition[] = []
  private steps = 0
  private retracted = 0
  private layerPasses = 0

  constructor(readonly settings: RowSettings) {}

  get index(): number {
    return this.settings.index
  }

  get numTokens(): number {
    return this.emissions.length
  }

  get numPending(): number {
    return this.pending.length
  }

  /** Evidence so far, in the order of the flushes. */
  get observed(): readonly FlushedPosition[] {
    return this.evidence
  }

  get phase(): Phase {
    if (this.finishReason === null) return 'open'
    return this.settings.flushesAtEnd && this.pending.length > 0 ? 'closing' : 'ended'
  }

  /** Tokens from a position on. */
  tokensFrom(position: number): number[] {
    return this.emissions.slice(position).map(({ token }) => token)
  }

  /** Begins the next position; returns the decoder input token that it is to be given. */
  begin(): number {
    const index = this.emissions.length
    this.current = { index, token: null, confidence: null, isForced: false }
    this.steps++
    return index === 0 ? this.settings.info.decoderStartId : this.emissions[index - 1].token
  }

  /** Accounts for a pass through `numLayers` layers. */
  passed(numLayers: number): void {
    this.layerPasses += numLayers
  }

  /** Notes what an exit before the last chose at the newest position. */
  see(token: number, confidence: number): void {
    this.current!.token = token
    this.current!.confidence = confidence
  }

  /** Notes that a full stack overrules a sufficient confidence. */
  force(): void {
    this.current!.isForced = true
    this.forced.push(this.current!.index)
  }

  /** The newest position leaves after `exitLayer` with the token last seen, and goes on the stack. */
  leave(exitLayer: number): Emission {
    const position = this.current!
    this.current = null
    this.pending.push(position)
    return this.emit(position, position.token!, { exitLayer, flushSize: 0, retracted: 0 })
  }

  /**
   * Takes the deep choices of a flush: those of the stack and, where there is one, the newest position's. Returns what it
   * emits, and the number of positions that stand where the engine must forget the rest.
   */
  settle(
    deep: readonly number[],
    verify: Policy['verify'],
  ): { readonly emission: Emission | null; readonly truncateTo: number | null } {
    const { pending, current } = this
    const flushed = current ? [...pending, current] : pending
    this.pending = []
    this.current = null
    this.flushes.push(deep.length)
    const numKept = verify
      ? verify({ emitted: pending.map(({ token }) => token!), deep: deep.slice(0, pending.length) })
      : pending.length
    // The first difference still counts; what came after it was built on a token that is gone.
    for (const [i, { index, token, confidence }] of flushed.slice(0, numKept + 1).entries()) {
      if (token !== null) {
        this.evidence.push({ position: index, confidence: confidence!, agree: token === deep[i] })
      }
    }
    const exitLayer = this.settings.info.decoderLayers
    if (numKept < flushed.length) {
      const position = flushed[numKept]
      const retracted = pending.length - numKept
      this.retracted += retracted
      this.emissions.length = position.index
      return {
        emission: this.emit(position, deep[numKept], { exitLayer, flushSize: deep.length, retracted }),
        truncateTo: retracted > 0 ? position.index + 1 : null,
      }
    }
    return { emission: null, truncateTo: null }
  }

  /** The row as it ended. */
  result(text: string): RowResult {
    const { emissions, settings, pending, flushes, forced, evidence, steps, retracted, layerPasses } = this
    return {
      tokens: this.tokensFrom(0),
      exits: emissions.map(({ exitLayer }) => exitKind(exitLayer, settings.info)),
      exitLayers: emissions.map(({ exitLayer }) => exitLayer),
      confidences: emissions.map(({ confidence }) => confidence),
      text,
      threshold: settings.threshold,
      finishReason: this.finishReason!,
      flushes,
      forced,
      evidence,
      pendingAtEnd: pending.length,
      steps,
      retracted,
      layerPasses,
    }
  }

  private get finishReason(): FinishReason | null {
    if (this.emissions.at(-1)?.token === this.settings.info.eosId) return 'eos'
    return this.emissions.length >= this.settings.maxNewTokens ? 'length' : null
  }

  private emit(
    { index, confidence, isForced }: Position,
    token: number,
    origin: Pick<Emission, 'exitLayer' | 'flushSize' | 'retracted'>,
  ): Emission {
    const emission = { position: index, token, confidence, isForced, ...origin }
    this.emissions.push(emission)
    return emission
  }
}

/** Deep is the last decoder layer; every other one is shallow. */
export function exitKind(exitLayer: number, info: EngineInfo): Exit {
  return exitLayer === info.decoderLayers ? 'deep' : 'shallow'
}
