// Where tokens leave the decoder, decided before it runs: drawn with given probabilities, or as a run recorded it.
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { parseConfig } from '../../src/config/index.js'
import type { Exit } from '../../src/decoding/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import type { Random } from '../../src/random.js'

/** What is to happen to a row; asked once each time that a position reaches an exit. */
export interface ExitTrace {
  /** Whether the shallow exit is to be sure at a position, from 0. */
  leaves(position: number): boolean
  /** Whether the deep exit is to choose what the shallow one chose, at a position that left. */
  agrees(position: number): boolean
}

/**
 * Each token leaves with one probability, and the deep exit agrees with another, each for itself and anew where a token
 * is decoded again. Both in [0, 1].
 */
export function drawnTrace(
  random: Random,
  { exitShare, agreement }: { readonly exitShare: number; readonly agreement: number },
): ExitTrace {
  const agreements = random.fork(1)
  return {
    leaves: () => random.uniform() < exitShare,
    agrees: () => agreements.uniform() < agreement,
  }
}

/** Tokens leave where a run says they did, beyond its end from its beginning again; all that left agrees. */
export function recordedTrace(exits: readonly Exit[]): ExitTrace {
  return { leaves: (position) => exits[position % exits.length] === 'shallow', agrees: () => true }
}

const lineSchema = z.looseObject({ exits: z.array(z.enum(['shallow', 'deep'])).min(1) })

/**
 * The exits of each line of a JSON lines file, as `generate --json` writes it. Rejects as reading files does, with
 * `bench.bad-trace` where a line is no JSON or there is none, and with `config.invalid-value` where it has no `exits`.
 */
export async function readTrace(path: string): Promise<readonly (readonly Exit[])[]> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  const rows = lines.flatMap((line, i) => {
    if (line.trim() === '') return []
    const place = `${path}, line ${i + 1}`
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch (cause) {
      throw badTrace(`${place}: expected a line of generate --json, got no JSON`, cause)
    }
    return [parseConfig(lineSchema, value, place).exits]
  })
  if (rows.length === 0) throw badTrace(`${path}: expected lines of generate --json, the file has none`)
  return rows
}

function badTrace(message: string, cause?: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'bench.bad-trace',
    message,
    hint: 'write one with shallowdeep generate --policy free --json --output trace.jsonl',
    cause,
  })
}
