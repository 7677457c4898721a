// Laws of the CSV reader over random tables.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { readCsvRows } from '../../src/data/csv.node.js'
import { inChunks } from './inputs.js'

const cell = fc.string({
  unit: fc.constantFrom('a', 'ß', '😀', ' ', '"', ',', '\n', '\r\n', '\t', "'"),
  maxLength: 8,
})
const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 3 }), { minLength: 1, maxLength: 12 })
const lineEnd = fc.constantFrom('\n', '\r\n')

function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

async function readAll(bytes: Buffer, chunkBytes: number, maxRowBytes?: number) {
  const rows = []
  for await (const row of readCsvRows(inChunks(bytes, chunkBytes), { delimiter: ',', maxRowBytes }))
    rows.push(row)
  return rows
}

describe('CSV rows, laws', () => {
  it('what is written comes back with the line on which each row begins, however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        table,
        lineEnd,
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        async (rows, end, size, isEnded) => {
          const lines = rows.map((cells) => cells.map(quote).join(','))
          const bytes = Buffer.from(lines.join(end) + (isEnded ? end : ''))
          let line = 1
          const expected = rows.map((cells, i) => {
            const row = { line, cells }
            line += lines[i].split('\n').length
            return row
          })
          assert.deepEqual(await readAll(bytes, size), expected)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('any bytes give the same rows and faults however they are cut, in order, at most one beginning on a line', async () => {
    const bytes = fc
      .array(fc.constantFrom('"', '"', ',', '\n', '\r\n', 'x', 'ä', '\n1,2\n'), { maxLength: 40 })
      .map((parts) => Buffer.from(parts.join('')))
    await fc.assert(
      fc.asyncProperty(bytes, fc.integer({ min: 1, max: 20 }), async (content, size) => {
        const whole = await readAll(content, 1 << 20)
        assert.deepEqual(await readAll(content, size), whole)
        const lines = whole.map((row) => ('fault' in row ? row.fault.line : row.line))
        assert.deepEqual(
          lines,
          [...lines].sort((a, b) => a - b),
        )
        assert.equal(new Set(lines).size, lines.length, 'one row or fault begins on a line')
        const numLines = content.toString('utf8').split('\n').length
        assert.ok(lines.every((line) => line >= 1 && line <= numLines))
      }),
      { numRuns: 500 },
    )
  })
})
