// A source decoded with beams: its hypotheses, each in a row of the engine, and what the search makes of them.
import type { DecoderSession } from './engine.js'
import type { DecodeEvent, FlushedPosition, RowResult } from './events.js'
import { BeamSearch, type BeamOptions } from './selection/beamSearch.js'
import { tokenEvent, Transcript, type Sequence, type SequenceStart } from './sequence.js'
import { RowState, type Phase } from './state.js'

/** A source with several hypotheses. Nothing is final before the search ends, so all of its events come then. */
export class BeamSequence implements Sequence {
  readonly index: number
  /** Beams never verify and have no evidence. */
  readonly observed: readonly FlushedPosition[] = []
  private running: readonly RowState[]
  private readonly firstSlot: number
  private readonly search: BeamSearch<RowState>
  private readonly transcript: Transcript

  constructor({ settings, stream }: SequenceStart, options: BeamOptions) {
    const { index, info, maxNewTokens } = settings
    this.index = index
    this.firstSlot = index * options.beams
    // All hypotheses start alike: one is enough.
    this.running = [new RowState(settings, this.firstSlot)]
    this.search = new BeamSearch(options, { eosId: info.eosId, maxNewTokens })
    this.transcript = new Transcript(index, stream)
  }

  get hypotheses(): readonly RowState[] {
    return this.running
  }

  get phase(): Phase {
    return this.search.isDone ? 'ended' : 'open'
  }

  advance(session: Pick<DecoderSession, 'reorder'>): DecodeEvent[] {
    const parents = this.running
    const fork = (parent: number, token: number, slot: number): RowState => {
      const state = parents[parent].fork(slot)
      state.emit(token)
      return state
    }
    const extensions = this.search.extend(
      parents.map(({ departure }) => departure!.choice.candidates!),
      ({ parent, token }) => fork(parent, token, parents[parent].slot),
    )
    this.running = extensions.map(({ parent, token }, i) => fork(parent, token, this.firstSlot + i))
    if (this.search.isDone) return this.tellBest()
    session.reorder(
      this.running.map(({ slot }) => slot),
      extensions.map(({ parent }) => parents[parent].slot),
    )
    return []
  }

  result(): RowResult {
    return {
      ...this.best.result(this.transcript.text),
      hypotheses: this.search.finished.map(({ hypothesis, score }) => ({
        tokens: hypothesis.tokensFrom(0),
        score,
      })),
    }
  }

  private get best(): RowState {
    return this.search.finished[0].hypothesis
  }

  private tellBest(): DecodeEvent[] {
    const { best } = this
    return [...best.emitted.map((emission) => tokenEvent(best, emission)), ...this.transcript.commit(best)]
  }
}
