// `npm run bench -- bandwidth`: what the memory delivers, the limit of decoding one sequence at a time.
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { defineCommand } from '../../src/cli/command.js'
import { filePath } from '../../src/config/index.js'
import { formatNumber } from '../../src/report/format.js'
import type { BenchTable } from '../benchTable.js'
import { thisMachine } from '../machine.js'
import { writeResult } from '../output.js'
import type { BandwidthRow } from './measure.js'

const positive = z.number().int().positive()

const schema = z.strictObject({
  threads: z
    .array(positive)
    .min(1)
    .optional()
    .describe('numbers of threads; default: 1 and as many as there are cores')
    .meta({ placeholder: 'n,n' }),
  megabytes: positive.default(256).describe('size of the buffer; is to be far larger than all caches'),
  attempts: positive.default(5).describe('attempts by each means, of which the best counts'),
  markdown: z.boolean().default(false).describe('the table as Markdown'),
  output: filePath.optional().describe('write the result there too, as JSON'),
})

const NAMES: Readonly<Record<BandwidthRow['method'], string>> = {
  search: 'search for a byte (reads)',
  copy: 'copy (reads and writes)',
  product: 'vector times matrix (reads)',
}

export const createCommand = defineCommand({
  name: 'bandwidth',
  summary: 'how many bytes a second the memory delivers',
  schema,
  groups: {},
  examples: ['npm run bench -- bandwidth --threads 1,2'],
  async run({ threads, megabytes, attempts, markdown, output: file }, { output }) {
    const { measureBandwidth } = await import('./measure.js')
    const counts = threads ?? [...new Set([1, availableParallelism()])]
    const rows = await measureBandwidth({ threads: counts, megabytes, attempts })
    const result = { machine: thisMachine(), megabytes, rows }
    await writeResult(result, { output, file, markdown, table: bandwidthTable(rows) })
  },
})

function bandwidthTable(rows: readonly BandwidthRow[]): BenchTable<BandwidthRow> {
  return {
    rows,
    columns: [
      { header: ['', 'means'], title: 'Means', cell: ({ method }) => NAMES[method] },
      { header: ['', 'threads'], title: 'Threads', cell: ({ threads }) => String(threads) },
      {
        header: ['', 'GB/s'],
        title: 'GB/s',
        cell: ({ gigabytesPerSecond }) => formatNumber(gigabytesPerSecond, 1),
      },
    ],
  }
}
