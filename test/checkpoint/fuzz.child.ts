// A process of its own for fuzzing, so that its peak memory is that of the readers: reads `count` seeded mutants of whole
// files, from a buffer and by ranges, and holds each outcome against the format's rules. Prints one JSON object: what came out how often, and the cost.
import assert from 'node:assert/strict'
import { peakMemoryBytes } from '../../scripts/parity/peakMemory.js'
import { Random } from '../../src/random.js'
import { mutate, wholeFiles } from './mutate.js'
import { readOrRefuse, readRangesOrRefuse } from './rawContent.js'
import { digestOf, judge } from './safetensorsRules.js'

/** What the parent reads. */
export interface FuzzReport {
  /** Files by outcome: `read`, or the code of the refusal. */
  readonly outcomes: Readonly<Record<string, number>>
  /** By how much the process's peak memory has grown since the first thousand files. */
  readonly grownBytes: number
  /** Time of the processor for the slowest file: other programs do not count. */
  readonly slowestMs: number
}

/** Refusals of files that are whole by the format's rules: types and integers that we do not read. */
const NARROWER = new Set(['checkpoint.unsupported-dtype', 'checkpoint.unsafe-integer'])

async function fuzz(seed: number, count: number): Promise<FuzzReport> {
  const random = new Random(seed)
  const originals = wholeFiles()
  const outcomes: Record<string, number> = {}
  let [peak, slowestMs] = [0, 0]
  for (let i = 0; i < count; i++) {
    const bytes = mutate(originals[random.integer(originals.length)], random)
    const what = `seed ${seed}, file ${i}: ${Buffer.from(bytes).toString('base64')}`
    const start = process.cpuUsage()
    const ours = readOrRefuse(bytes)
    const { user, system } = process.cpuUsage(start)
    if (i >= 1000) slowestMs = Math.max(slowestMs, (user + system) / 1000)
    else peak = peakMemoryBytes()
    const byRanges = await readRangesOrRefuse(bytes)
    const verdict = judge(bytes)
    if (typeof ours === 'string' || typeof byRanges === 'string') {
      assert.equal(byRanges, ours, what)
      assert.match(ours as string, /^checkpoint\./, what)
      assert.ok(
        verdict.kind !== 'whole' || NARROWER.has(ours as string),
        `${ours} though it is whole, ${what}`,
      )
    } else {
      assert.equal(verdict.kind, 'whole', what)
      if (verdict.kind !== 'whole') continue
      const digest = digestOf(verdict.content)
      assert.deepEqual([digestOf(ours), digestOf(byRanges)], [digest, digest], what)
    }
    const outcome = typeof ours === 'string' ? ours : 'read'
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  }
  const grownBytes = peakMemoryBytes() - peak
  return { outcomes, grownBytes, slowestMs }
}

const [seed, count] = process.argv.slice(2).map(Number)
process.stdout.write(`${JSON.stringify(await fuzz(seed, count))}\n`)
