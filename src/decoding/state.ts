// The state of one hypothesis and its transitions: a position begins, is seen at an exit, leaves or goes deep with a
// flush, and a token is emitted there. No engine, no events, and no choice of tokens here.
import type { EngineInfo, ExitChoice } from './engine.js'
import type { Exit, FinishReason, FlushedPosition, RowResult } from './events.js'
import type { Draft } from './selection/selector.js'

/** A position that has begun and whose deep layers have not run. */
interface Position {
  readonly index: number
  /** What the exit before the last said; null where it was not looked at. */
  shallow: ExitChoice | null
  confidence: number | null
  isForced: boolean
}

/** Where the newest token of a hypothesis is to come from. */
export interface Departure {
  /** What the exit said at the position. */
  readonly choice: ExitChoice
  /** The token that a verification put there already; null where one is still to be chosen. */
  readonly token: number | null
}

interface Origin {
  readonly position: Position
  readonly exitLayer: number
  readonly flushSize: number
  readonly retracted: number
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

/** What does not change while a source is decoded. */
export interface RowSettings {
  /** Index of the source. */
  readonly index: number
  readonly threshold: number | null
  readonly maxNewTokens: number
  /** Whether flushes tell how the exits compare; they then ask the deep exit for every position. */
  readonly gathersEvidence: boolean
  readonly flushesAtEnd: boolean
  readonly info: EngineInfo
  /** The token that a flush leaves at a pending position; neutral: undefined, the one that was emitted. */
  readonly verify?: (draft: Draft, deep: ExitChoice) => number
}

/** Work done so far; one count for all hypotheses of a source. */
interface Work {
  steps: number
  layerPasses: number
}

/** One hypothesis: with beams one of several of a source, else the only one. */
export class RowState {
  /** Positions that left early, oldest first. */
  private pending: Position[] = []
  /** The newest position while it is on its way; null between steps. */
  private current: Position | null = null
  private left: (Departure & Origin) | null = null
  private emissions: Emission[] = []
  private flushes: number[] = []
  private forced: number[] = []
  private evidence: FlushedPosition[] = []
  private retracted = 0

  /** @param slot the row of the engine that holds it; not the source's index where a source has several */
  constructor(
    readonly settings: RowSettings,
    readonly slot = settings.index,
    private readonly work: Work = { steps: 0, layerPasses: 0 },
  ) {}

  /** The same hypothesis once more, to go on by itself in another row of the engine. */
  fork(slot: number): RowState {
    const copy = new RowState(this.settings, slot, this.work)
    copy.pending = [...this.pending]
    copy.left = this.left
    copy.emissions = [...this.emissions]
    copy.flushes = [...this.flushes]
    copy.forced = [...this.forced]
    copy.evidence = [...this.evidence]
    copy.retracted = this.retracted
    return copy
  }

  get index(): number {
    return this.settings.index
  }

  get numTokens(): number {
    return this.emissions.length
  }

  get numPending(): number {
    return this.pending.length
  }

  /** Where the newest token is to come from; null where no token is due. */
  get departure(): Departure | null {
    return this.left
  }

  /** Evidence so far, in the order of the flushes. */
  get observed(): readonly FlushedPosition[] {
    return this.evidence
  }

  /** All tokens as they were emitted. */
  get emitted(): readonly Emission[] {
    return this.emissions
  }

  get phase(): Phase {
    if (this.finishReason === null) return 'open'
    return this.settings.flushesAtEnd && this.pending.length > 0 ? 'closing' : 'ended'
  }

  /** Tokens from a position on. */
  tokensFrom(position: number): number[] {
    return this.emissions.slice(position).map(({ token }) => token)
  }

  /** Everything that stands before a position, the start token first. */
  tokensBefore(position: number): number[] {
    return [this.settings.info.decoderStartId, ...this.emissions.slice(0, position).map(({ token }) => token)]
  }

  /** Begins the next position; returns the decoder input token that it is to be given. */
  begin(): number {
    const index = this.emissions.length
    this.current = { index, shallow: null, confidence: null, isForced: false }
    this.work.steps++
    return index === 0 ? this.settings.info.decoderStartId : this.emissions[index - 1].token
  }

  /** Accounts for a pass through `numLayers` layers. */
  passed(numLayers: number): void {
    this.work.layerPasses += numLayers
  }

  /** Notes what an exit before the last said at the newest position. */
  see(choice: ExitChoice, confidence: number): void {
    this.current!.shallow = choice
    this.current!.confidence = confidence
  }

  /** Notes that a full stack overrules a sufficient confidence. */
  force(): void {
    this.current!.isForced = true
    this.forced.push(this.current!.index)
  }

  /** The newest position leaves after `exitLayer`, by the exit last seen, and goes on the stack. */
  leave(exitLayer: number): void {
    const position = this.current!
    this.current = null
    this.pending.push(position)
    this.left = { choice: position.shallow!, token: null, position, exitLayer, flushSize: 0, retracted: 0 }
  }

  /**
   * Takes what the deep exit said at a flush: of the stack and, where there is one, of the newest position, or of the last of
   * these alone. Returns the number of positions that stand where the engine must forget the rest, else null.
   */
  settle(deep: readonly ExitChoice[]): number | null {
    const { pending, current } = this
    const { verify, gathersEvidence, info } = this.settings
    const flushed = current ? [...pending, current] : pending
    this.pending = []
    this.current = null
    this.flushes.push(flushed.length)
    const deepAt = (i: number) => deep[i - flushed.length + deep.length]
    let numKept = 0
    let verified: number | null = null
    for (; numKept < pending.length; numKept++) {
      const { index, shallow } = pending[numKept]
      const { token } = this.emissions[index]
      verified = verify ? verify({ token, choice: shallow! }, deepAt(numKept)) : token
      if (verified !== token) break
    }
    // The first difference still counts; what came after it was built on a token that is gone. Evidence is of the
    // exits' best tokens, whatever was taken from their distributions.
    for (const [i, { index, shallow, confidence }] of flushed.slice(0, numKept + 1).entries()) {
      if (shallow !== null && gathersEvidence) {
        this.evidence.push({
          position: index,
          confidence: confidence!,
          agree: shallow.token === deepAt(i).token,
        })
      }
    }
    if (numKept === flushed.length) return null
    const position = flushed[numKept]
    const retracted = pending.length - numKept
    this.retracted += retracted
    this.emissions.length = position.index
    this.left = {
      choice: deepAt(numKept),
      token: retracted > 0 ? verified : null,
      position,
      exitLayer: info.decoderLayers,
      flushSize: flushed.length,
      retracted,
    }
    return retracted > 0 ? position.index + 1 : null
  }

  /** Emits a token where the newest position left. */
  emit(token: number): Emission {
    const { position, exitLayer, flushSize, retracted } = this.left!
    const { index, confidence, isForced } = position
    const emission = { position: index, token, confidence, isForced, exitLayer, flushSize, retracted }
    this.left = null
    this.emissions.push(emission)
    return emission
  }

  /** The row as it ended. */
  result(text: string): RowResult {
    const { emissions, settings, pending, flushes, forced, evidence, retracted, work } = this
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
      steps: work.steps,
      retracted,
      layerPasses: work.layerPasses,
    }
  }

  private get finishReason(): FinishReason | null {
    if (this.emissions.at(-1)?.token === this.settings.info.eosId) return 'eos'
    return this.emissions.length >= this.settings.maxNewTokens ? 'length' : null
  }
}

/** Deep is the last decoder layer; every other one is shallow. */
export function exitKind(exitLayer: number, info: EngineInfo): Exit {
  return exitLayer === info.decoderLayers ? 'deep' : 'shallow'
}
