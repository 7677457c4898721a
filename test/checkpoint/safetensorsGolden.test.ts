// 2,000 damaged files and what the reference parser (safetensors 0.8.0) says of each: ours refuses what it refuses, and
// reads what it reads, to the byte, but for what it refuses on purpose; and the rules of the fuzzing test say the same.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { readOrRefuse } from './rawContent.js'
import { digestOf, judge } from './safetensorsRules.js'

interface Recorded {
  readonly bytes: Uint8Array
  /** Null where the reference refused the file. */
  readonly digest: string | null
}

const GOLDEN = new URL('../golden/safetensors/', import.meta.url)
const unpack = (name: string) => gunzipSync(readFileSync(new URL(name, GOLDEN)))

function readRecorded(): Recorded[] {
  const { mutants } = JSON.parse(unpack('mutants.json.gz').toString()) as {
    mutants: { size: number; digest: string | null }[]
  }
  const bytes = unpack('mutants.bin.gz')
  let position = 0
  return mutants.map(({ size, digest }) => ({ bytes: bytes.subarray(position, (position += size)), digest }))
}

/** Codes of files that the reference reads and ours refuses on purpose, with the reason. */
const NARROWER: Readonly<Record<string, string>> = {
  'checkpoint.duplicate-name': 'readers disagree about which of the two counts',
  'checkpoint.unsupported-dtype': 'no T5 checkpoint is stored in it',
  'checkpoint.unsafe-integer': 'a JavaScript number cannot hold it',
  'checkpoint.bad-shape': 'a size beyond 2^53, of a tensor without elements',
  'checkpoint.bad-header': 'unknown keys, entries as lists, null as metadata: nothing may hide in a header',
}

describe('damaged safetensors files', () => {
  const recorded = readRecorded()

  it('are read as the reference reads them, or refused with a code', () => {
    assert.equal(recorded.length, 2000)
    const counts = { same: 0, bothRefuse: 0, narrower: 0 }
    for (const [i, { bytes, digest }] of recorded.entries()) {
      const ours = readOrRefuse(bytes)
      if (typeof ours === 'string') {
        if (digest === null) counts.bothRefuse++
        else {
          assert.ok(ours in NARROWER, `file ${i}: ${ours}`)
          counts.narrower++
        }
      } else {
        assert.equal(digestOf(ours), digest, `file ${i}`)
        counts.same++
      }
    }
    assert.deepEqual(counts, { same: 396, bothRefuse: 1469, narrower: 135 })
  })

  it('are judged by the rules as the reference judges them', () => {
    for (const [i, { bytes, digest }] of recorded.entries()) {
      const verdict = judge(bytes)
      if (verdict.kind === 'whole') assert.equal(digestOf(verdict.content), digest, `file ${i}`)
      else if (verdict.kind === 'broken')
        assert.equal(digest, null, `file ${i}: ${Buffer.from(bytes).toString('latin1')}`)
    }
  })
})
