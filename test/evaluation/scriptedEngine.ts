// An engine that plays a script: for each position the shallow choice, its confidence and the deep choice. Its clock
// advances by a cost a layer, so that every figure of an evaluation can be worked out by hand.
import type { DecoderEngine, DecoderSession, ExitChoice } from '../../src/decoding/index.js'

export interface ScriptedStep {
  readonly shallow: number
  readonly confidence: number
  readonly deep: number
}

export const SHALLOW_LAYERS = 2
export const DECODER_LAYERS = 8
const EOS = 1

/** Sources are [index of a script, end of sequence]; the script does not depend on what was emitted before. */
export class ScriptedEngine implements DecoderEngine {
  /** Milliseconds: 10 an encoding, 1 a layer pass whatever the number of positions. */
  clockMs = 0
  readonly info = {
    engine: 'scripted',
    backend: 'none',
    dtype: 'float32',
    threads: 1,
    shallowLayers: SHALLOW_LAYERS,
    decoderLayers: DECODER_LAYERS,
    vocabSize: 100,
    decoderStartId: 0,
    eosId: EOS,
  } as const

  /** @param passMs what a pass of some layers over some positions costs, its exit asked for some of them or none */
  constructor(
    private readonly scripts: readonly (readonly ScriptedStep[])[],
    private readonly passMs: (numLayers: number, numPositions: number, numAsked: number) => number = (
      layers,
    ) => layers,
  ) {}

  async encode(sources: readonly ArrayLike<number>[]) {
    this.clockMs += 10 * sources.length
    const scripts = sources.map((source) => this.scripts[source[0]])
    return {
      numRows: sources.length,
      open: ({ exits }: { readonly exits: readonly number[] }) => this.session(scripts, exits),
      dispose: () => undefined,
    }
  }

  dispose(): void {}

  private session(scripts: readonly (readonly ScriptedStep[])[], exits: readonly number[]): DecoderSession {
    const pushed = scripts.map(() => 0)
    const lengths = scripts.map(() => exits.map(() => 0))
    return {
      push: (row) => void pushed[row]++,
      run: async ({ segment, rows, exit, newestOnly }) =>
        rows.map((row): ExitChoice[] => {
          const from = lengths[row][segment]
          const to = segment === 0 ? pushed[row] : lengths[row][segment - 1]
          lengths[row][segment] = to
          const numLayers = exits[segment] - (segment === 0 ? 0 : exits[segment - 1])
          const numAsked = exit ? (newestOnly ? Math.min(1, to - from) : to - from) : 0
          this.clockMs += this.passMs(numLayers, to - from, numAsked)
          if (!exit) return []
          const isDeep = exits[segment] === DECODER_LAYERS
          return scripts[row]
            .slice(newestOnly ? Math.max(from, to - 1) : from, to)
            .map(({ shallow, confidence, deep }) => ({
              token: isDeep ? deep : shallow,
              top1: confidence,
              top2: 0,
            }))
        }),
      truncate: (row, length) => {
        pushed[row] = Math.min(pushed[row], length)
        lengths[row] = lengths[row].map((value) => Math.min(value, length))
      },
      // Nothing here depends on what a row holds but its length, and only beams change it.
      reorder: () => undefined,
      dispose: () => undefined,
    }
  }
}
