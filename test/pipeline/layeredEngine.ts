// An engine whose layers come to their choices as a script says: at each position, the layer from which on an exit chooses
// what the last layer chooses. Its clock advances by a cost a layer, so that measured costs are known.
import type { DecoderEngine, DecoderSession, ExitChoice } from '../../src/decoding/index.js'

export const LAYERS = 4
const EOS = 1

/** A source is [index of a script, end of sequence]; a script names, by position, the layer from which on it is right. */
export class LayeredEngine implements DecoderEngine {
  clockMs = 0
  /** Sessions and sources that are open. */
  numOpen = 0
  /** Decoder input tokens of each session, in the order of their opening. */
  readonly inputs: number[][] = []
  readonly info = {
    engine: 'layered',
    backend: 'none',
    dtype: 'float32',
    threads: 1,
    shallowLayers: 1,
    decoderLayers: LAYERS,
    vocabSize: 100,
    decoderStartId: 0,
    eosId: EOS,
  } as const

  constructor(private readonly scripts: readonly (readonly number[])[]) {}

  async encode(sources: readonly ArrayLike<number>[]) {
    this.numOpen++
    const script = this.scripts[sources[0][0]]
    return {
      numRows: 1,
      open: ({ exits }: { readonly exits: readonly number[] }) => this.session(script, exits),
      dispose: () => void this.numOpen--,
    }
  }

  dispose(): void {}

  private session(script: readonly number[], exits: readonly number[]): DecoderSession {
    this.numOpen++
    const inputs: number[] = []
    this.inputs.push(inputs)
    let lengths = exits.map(() => 0)
    return {
      push: (_row, token) => void inputs.push(token),
      run: async ({ segment, exit, newestOnly }) => {
        const from = lengths[segment]
        const to = segment === 0 ? inputs.length : lengths[segment - 1]
        lengths[segment] = to
        // 1 ms a layer, and a quarter more for each further position; 2 ms an exit.
        const numLayers = exits[segment] - (segment === 0 ? 0 : exits[segment - 1])
        this.clockMs += numLayers * (1 + (to - from - 1) / 4) + (exit ? 2 : 0)
        const start = newestOnly ? Math.max(from, to - 1) : from
        return [Array.from({ length: to - start }, (_, i) => choiceAt(script, start + i, exits[segment]))]
      },
      reorder: () => undefined,
      truncate: (_row, length) => {
        inputs.length = Math.min(inputs.length, length)
        lengths = lengths.map((value) => Math.min(value, length))
      },
      dispose: () => void this.numOpen--,
    }
  }
}

/** The last layer chooses 10 + position, and the end of sequence at last; earlier ones 99 while they are not right. */
function choiceAt(script: readonly number[], position: number, layer: number): ExitChoice {
  const isRight = layer >= (script[position] ?? LAYERS)
  const deep = position === script.length - 1 ? EOS : 10 + position
  return { token: isRight || layer === LAYERS ? deep : 99, top1: isRight ? 0.9 : 0.3, top2: 0.1 }
}
