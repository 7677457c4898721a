// A DecoderEngine that answers from a script and writes down what it is asked: for tests of the loop alone.
import type { DecoderEngine, ExitChoice, RunOptions, SessionOptions } from '../../src/decoding/index.js'

/** What both exits say after some decoder input tokens (the start token first). */
export interface ScriptedExits {
  readonly shallow: number
  readonly confidence: number
  readonly deep: number
}

export interface ScriptedEngine extends DecoderEngine {
  /** One line a call: `push 0 5`, `run 1 [0] -> 3`, `run 1 [0] at the newest -> 3`, `truncate 0 2`, `close`, ... */
  readonly log: string[]
}

export const START = 0
export const EOS = 1

/** S = 2 of L = 6 layers. The script is asked with all decoder input tokens of the row up to the position. */
export function scriptedEngine(
  script: (row: number, tokens: readonly number[]) => ScriptedExits,
): ScriptedEngine {
  const log: string[] = []
  const open = (numRows: number, { forbidden }: SessionOptions) => {
    log.push('open')
    const rows = Array.from({ length: numRows }, () => ({ tokens: [] as number[], lengths: [0, 0] }))
    const choose = (row: number, position: number, segment: number): ExitChoice => {
      const exits = script(row, rows[row].tokens.slice(0, position + 1))
      const banned = forbidden?.(row, position) ?? []
      const wanted = segment === 0 ? exits.shallow : exits.deep
      const token = banned.includes(wanted) ? wanted + 1 : wanted
      const [top1, top2] = [0.5 + exits.confidence / 2, 0.5 - exits.confidence / 2]
      const candidates = [
        { token, logProbability: Math.log(top1) },
        { token: token + 1, logProbability: Math.log(top2) },
      ]
      return { token, top1, top2, candidates }
    }
    return {
      push: (row: number, token: number) => {
        log.push(`push ${row} ${token}`)
        rows[row].tokens.push(token)
      },
      run: async ({ segment, rows: indices, exit, newestOnly, signal }: RunOptions) => {
        const choices = indices.map((row) => {
          const { lengths, tokens } = rows[row]
          const end = segment === 0 ? tokens.length : lengths[0]
          const start = lengths[segment]
          lengths[segment] = end
          return Array.from({ length: end - start }, (_, i) => choose(row, start + i, segment))
        })
        const isPartial = newestOnly && choices.some(({ length }) => length > 1)
        const look = exit ? (isPartial ? 'at the newest ' : '') : 'blind '
        log.push(`run ${segment} [${indices.join()}] ${look}-> ${choices.map((c) => c.length)}`)
        signal?.throwIfAborted()
        if (!exit) return choices.map(() => [])
        return newestOnly ? choices.map((all) => all.slice(-1)) : choices
      },
      truncate: (row: number, length: number) => {
        log.push(`truncate ${row} ${length}`)
        rows[row].tokens.length = length
        rows[row].lengths = rows[row].lengths.map((known) => Math.min(known, length))
      },
      reorder: (to: readonly number[], from: readonly number[]) => {
        log.push(`reorder [${to.join()}] from [${from.join()}]`)
        const held = from.map((row) => structuredClone(rows[row]))
        for (const [i, row] of to.entries()) rows[row] = held[i]
      },
      dispose: () => void log.push('close'),
    }
  }
  return {
    log,
    info: {
      engine: 'scripted',
      backend: 'none',
      dtype: 'float32',
      threads: 1,
      shallowLayers: 2,
      decoderLayers: 6,
      vocabSize: 100,
      decoderStartId: START,
      eosId: EOS,
    },
    encode: async (sources) => {
      log.push('encode')
      return {
        numRows: sources.length,
        open: (options) => open(sources.length, options),
        dispose: () => void log.push('forget'),
      }
    },
    dispose: () => undefined,
  }
}

/** Exits by position, whatever the tokens were. */
export const byPosition = (...exits: [shallow: number, confidence: number, deep: number][]) =>
  scriptedEngine((_, tokens): ScriptedExits => {
    const [shallow, confidence, deep] = exits[tokens.length - 1]
    return { shallow, confidence, deep }
  })
