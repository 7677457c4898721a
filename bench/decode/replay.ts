// An engine whose exits say what a trace wants them to, so that the cost of an exit rate can be measured on a model that was
// never trained. Everything is computed as ever, at each exit the head and the confidence too, and the policies are the real
// ones; only what the exits are said to have found is put in the place of what they found.
import type {
  DecoderEngine,
  DecoderSession,
  ExitChoice,
  RunOptions,
  SessionOptions,
} from '../../src/decoding/index.js'
import type { ExitTrace } from './exitTrace.js'

/** Sequences of an engine with this end as long as they may be. */
const NEVER = -1

/**
 * The same engine for a model whose end of sequence is none of its tokens: all sequences end at the length limit, and that
 * costs nothing, as forbidding the end would.
 */
export function withoutEnd(engine: DecoderEngine): DecoderEngine {
  return {
    info: { ...engine.info, eosId: NEVER },
    encode: (sources, options) => engine.encode(sources, options),
    dispose: () => engine.dispose(),
  }
}

/**
 * The same engine with exits that follow traces, one for each row of a batch. The shallow exit is wholly sure where the
 * trace leaves and not at all elsewhere, so that any threshold from 0 to below 1 does; and the deep exit chooses at a
 * position that left what the shallow one chose, or where the trace does not agree another token, which `lossless` then
 * takes back as ever. Sessions have two exits at most. The inner engine is not owned.
 */
export function withExits(engine: DecoderEngine, traces: readonly ExitTrace[]): DecoderEngine {
  return {
    info: engine.info,
    encode: async (sources, encoding) => {
      const encoded = await engine.encode(sources, encoding)
      return {
        numRows: encoded.numRows,
        open: (options: SessionOptions) =>
          new ReplaySession(encoded.open(options), traces, engine.info.vocabSize),
        dispose: () => encoded.dispose(),
      }
    },
    dispose: () => undefined,
  }
}

/** What a row's exits have been made to say. */
interface ReplayedRow {
  readonly trace: ExitTrace
  /** Positions put in. */
  length: number
  /** Positions through the first and the second segment. */
  readonly done: [number, number]
  /** By position: the token of one that left when it was last at the shallow exit. */
  drafts: Map<number, number>
}

class ReplaySession implements DecoderSession {
  private readonly replayed: ReplayedRow[]

  constructor(
    private readonly session: DecoderSession,
    traces: readonly ExitTrace[],
    private readonly vocabSize: number,
  ) {
    this.replayed = traces.map((trace) => ({ trace, length: 0, done: [0, 0], drafts: new Map() }))
  }

  push(row: number, token: number): void {
    this.replayed[row].length++
    this.session.push(row, token)
  }

  async run(options: RunOptions): Promise<readonly (readonly ExitChoice[])[]> {
    const choices = await this.session.run(options)
    const { segment, rows, exit } = options
    return choices.map((found, i) => {
      const row = this.replayed[rows[i]]
      const end = segment === 0 ? row.length : row.done[segment - 1]
      row.done[segment] = end
      if (!exit) return found
      const start = end - found.length
      return found.map((choice, p) =>
        segment === 0 ? sayShallow(row, start + p, choice) : this.sayDeep(row, start + p, choice),
      )
    })
  }

  truncate(row: number, length: number): void {
    const replayed = this.replayed[row]
    replayed.length = Math.min(replayed.length, length)
    for (const segment of replayed.done.keys()) {
      replayed.done[segment] = Math.min(replayed.done[segment], length)
    }
    this.session.truncate(row, length)
  }

  reorder(rows: readonly number[], from: readonly number[]): void {
    const held = from.map((row) => this.replayed[row])
    for (const [i, row] of rows.entries()) {
      const { trace } = this.replayed[row]
      this.replayed[row] = { ...held[i], trace, done: [...held[i].done], drafts: new Map(held[i].drafts) }
    }
    this.session.reorder(rows, from)
  }

  dispose(): void {
    this.session.dispose()
  }

  private sayDeep({ trace, drafts }: ReplayedRow, position: number, choice: ExitChoice): ExitChoice {
    const draft = drafts.get(position)
    if (draft === undefined) return choice
    return { ...choice, token: trace.agrees(position) ? draft : (draft + 1) % this.vocabSize }
  }
}

function sayShallow({ trace, drafts }: ReplayedRow, position: number, choice: ExitChoice): ExitChoice {
  const leaves = trace.leaves(position)
  if (leaves) drafts.set(position, choice.token)
  else drafts.delete(position)
  return { ...choice, top1: leaves ? 1 : 0, top2: 0 }
}
