// CSV rows: what RFC 4180 allows, what is at fault and on which line, and that reading goes on behind a fault.
import assert from 'node:assert/strict'
import { readCsvRows, type CsvOptions } from '../../src/data/csv.node.js'
import { inChunks } from './inputs.js'

/** Rows as `line: cells`, faults as `line!cell: reason`. */
async function read(
  text: string | Buffer,
  options: Partial<CsvOptions> = {},
  chunkBytes = 7,
): Promise<string[]> {
  const rows: string[] = []
  for await (const row of readCsvRows(inChunks(Buffer.from(text), chunkBytes), {
    delimiter: ',',
    ...options,
  })) {
    if ('fault' in row) rows.push(`${row.fault.line}!${row.fault.cell}: ${row.fault.reason.split(' (')[0]}`)
    else rows.push(`${row.line}: ${row.cells.join('|')}`)
  }
  return rows
}

describe('CSV rows', () => {
  it('quoted cells hold delimiters, doubled quotes and line feeds; the next line number counts them', async () => {
    const text = 'a,b\r\n"x, ""y""","1\r\n2\r\n\r\n3"\r\nz,"\n"\r\nlast,row\r\n'
    assert.deepEqual(await read(text), ['1: a|b', '2: x, "y"|1\r\n2\r\n\r\n3', '6: z|\n', '8: last|row'])
  })

  it('LF and CRLF may be mixed, empty lines are no rows but count as lines, the last line may lack its end', async () => {
    assert.deepEqual(await read('a\n\r\n\nb\r\n\nc'), ['1: a', '4: b', '6: c'])
    assert.deepEqual(await read('a\n\n\n'), ['1: a'])
    assert.deepEqual(await read(''), [])
  })

  it('an empty quoted cell alone on its line is a row', async () => {
    assert.deepEqual(await read('a\n""\nb\n'), ['1: a', '2: ', '3: b'])
  })

  it('TSV is split at tabs only', async () => {
    assert.deepEqual(await read('a\tb,c\n"x\ty"\tz\n', { delimiter: '\t' }), ['1: a|b,c', '2: x\ty|z'])
  })

  const OPENING = 'a quote in a cell that does not begin with one'
  const CLOSING = 'text after a closing quote'
  const OPEN = 'a quote is opened here and never closed'

  it('a quote inside an unquoted cell is a fault of its line alone', async () => {
    const text = 'h,i\n"1\n2",5" pipe\n\n3,4\n'
    assert.deepEqual(await read(text), ['1: h|i', `3!1: ${OPENING}`, '5: 3|4'])
  })

  it('text behind a closing quote is a fault of the line where the quote closes', async () => {
    const text = 'h,i\r\n1,"a\r\nb"c\r\n3,4\r\n"d"e,5\r\n6,7'
    assert.deepEqual(await read(text), ['1: h|i', `3!1: ${CLOSING}`, '4: 3|4', `5!0: ${CLOSING}`, '6: 6|7'])
  })

  it('a quote that is never closed gives up its own line, not the rest of the file', async () => {
    assert.deepEqual(await read('h,i\n1,"oh\n3,4\n5,6\n'), ['1: h|i', `2!1: ${OPEN}`, '3: 3|4', '4: 5|6'])
    assert.deepEqual(await read('h,i\n1,"'), ['1: h|i', `2!1: ${OPEN}`])
  })

  it('a row beyond the limit counts as a quote that is never closed, before the whole file is held', async () => {
    const rows = ['h,i', '1,"oh', ...Array.from({ length: 50 }, (_, i) => `${i},x`)]
    const seen = await read(rows.join('\n'), { maxRowBytes: 40 })
    assert.deepEqual(seen.slice(0, 4), ['1: h|i', `2!1: ${OPEN}`, '3: 0|x', '4: 1|x'])
    assert.equal(seen.length, 52)
    let numTaken = 0
    const counted = async function* () {
      for await (const chunk of inChunks(Buffer.from(rows.join('\n')), 7)) {
        numTaken += chunk.length
        yield chunk
      }
    }
    for await (const row of readCsvRows(counted(), { delimiter: ',', maxRowBytes: 40 }))
      if ('fault' in row) break
    assert.ok(numTaken < 120, `${numTaken} bytes taken`)
    const inside = 'x\n'.repeat(15)
    assert.deepEqual(await read(`h\n"${inside}"\n`, { maxRowBytes: 40 }), ['1: h', `2: ${inside}`])
  })

  it('invalid UTF-8 is a fault of its row, valid characters cut by a chunk are none', async () => {
    const text = Buffer.concat([
      Buffer.from('h,i\nä€,😀\nb,'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('\nc,ü\n'),
    ])
    for (const size of [1, 2, 3, 100]) {
      assert.deepEqual(await read(text, {}, size), ['1: h|i', '2: ä€|😀', '3!1: not valid UTF-8', '4: c|ü'])
    }
  })
})
