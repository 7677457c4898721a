// One source on its way: its hypotheses, what becomes of what their exits say, and the events that tell of it.
import type { DecoderSession } from './engine.js'
import type {
  CommitEvent,
  DecodeEvent,
  FlushedPosition,
  RowResult,
  TextStream,
  TokenEvent,
} from './events.js'
import type { Policy } from './policies/index.js'
import type { Selector } from './selection/selector.js'
import { exitKind, RowState, type Emission, type Phase, type RowSettings } from './state.js'

/** What a source is begun with. */
export interface SequenceStart {
  readonly settings: Omit<RowSettings, 'verify'>
  readonly policy: Policy
  /** Its number among all sources, whatever batch it is in: what is drawn at random depends on it. */
  readonly ordinal: number
  /** Neutral: undefined, all text is ''. */
  readonly stream: TextStream | undefined
}

/** A source that is being decoded. */
export interface Sequence {
  /** Index of the source in its batch. */
  readonly index: number
  readonly phase: Phase
  /** Those that are to go one token further or, when closing, to be flushed. */
  readonly hypotheses: readonly RowState[]
  /** Evidence so far, in the order of the flushes. */
  readonly observed: readonly FlushedPosition[]
  /** Takes tokens where the hypotheses have left their exits, and tells of them. */
  advance(session: Pick<DecoderSession, 'reorder'>): DecodeEvent[]
  /** What came of it, once it has ended. */
  result(): RowResult
}

/** A source with one hypothesis. */
export class SingleSequence implements Sequence {
  readonly hypotheses: readonly RowState[]
  private readonly state: RowState
  private readonly transcript: Transcript
  private readonly isProvisional: boolean

  constructor(
    { settings, policy: { verify }, stream }: SequenceStart,
    private readonly selector: Selector,
  ) {
    this.isProvisional = verify !== undefined
    this.state = new RowState({
      ...settings,
      ...(verify && { verify: (draft, deep) => verify.token(draft, deep, selector) }),
    })
    this.hypotheses = [this.state]
    this.transcript = new Transcript(settings.index, stream)
  }

  get index(): number {
    return this.state.index
  }

  get phase(): Phase {
    return this.state.phase
  }

  get observed(): readonly FlushedPosition[] {
    return this.state.observed
  }

  advance(): DecodeEvent[] {
    const { state, transcript } = this
    const { departure } = state
    if (!departure) return transcript.commit(state)
    const emission = state.emit(departure.token ?? this.selector.choose(departure.choice))
    const token = tokenEvent(state, emission)
    return this.isProvisional && state.numPending > 0 ? [token] : [token, ...transcript.commit(state)]
  }

  result(): RowResult {
    return this.state.result(this.transcript.text)
  }
}

/** What of a source's output is final, and its text. */
export class Transcript {
  text = ''
  private numCommitted = 0

  /** @param stream ended, and let go, once the source has ended */
  constructor(
    private readonly index: number,
    private stream: TextStream | undefined,
  ) {}

  /** Makes everything emitted so far final. */
  commit(state: RowState): CommitEvent[] {
    const position = this.numCommitted
    const tokens = state.tokensFrom(position)
    this.numCommitted += tokens.length
    let text = ''
    for (const token of tokens) text += this.stream?.push(token) ?? ''
    if (state.phase !== 'open') {
      text += this.stream?.end() ?? ''
      this.stream = undefined
    }
    this.text += text
    if (tokens.length === 0 && text === '') return []
    return [{ type: 'commit', row: this.index, position, tokens, text }]
  }
}

/** The event of a token. */
export function tokenEvent({ settings }: RowState, emission: Emission): TokenEvent {
  return {
    type: 'token',
    row: settings.index,
    ...emission,
    exit: exitKind(emission.exitLayer, settings.info),
    threshold: settings.threshold,
  }
}
