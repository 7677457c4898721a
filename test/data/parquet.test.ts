// Parquet files by pyarrow and by hyparquet-writer: examples, lists of references, faults with file, row and column.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parquetMetadata } from 'hyparquet'
import { parquetWriteBuffer, type ColumnSource } from 'hyparquet-writer'
import { ShallowDeepError } from '../../src/errors.js'
import { Random } from '../../src/random.js'
import { readAllExamples, readExamples, type ReadOptions } from '../../src/data/index.node.js'
import { temporaryFiles } from './inputs.js'

const golden = (name: string) => fileURLToPath(new URL(`../golden/data/${name}.parquet`, import.meta.url))
const examplesOf = async (path: string, options?: ReadOptions) =>
  (await readAllExamples(path, options)).examples

describe('Parquet', () => {
  const write = temporaryFiles()
  const writeColumns = (name: string, columnData: ColumnSource[], rowGroupSize = 2) =>
    write(name, Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize })))

  for (const compression of ['none', 'snappy', 'gzip', 'zstd']) {
    it(`by pyarrow, compression ${compression}: texts, and lists of references, over all row groups`, async () => {
      const path = golden(`birds-${compression}`)
      const numbers = [0, 1, 2, 3, 4, 5, 6]
      assert.deepEqual(
        await examplesOf(path),
        numbers.map((i) => ({ source: `Satz ${i} über Vögel 🐦`, targets: [`sentence ${i} about birds`] })),
      )
      assert.deepEqual(
        await examplesOf(path, { targetColumn: 'references' }),
        numbers.map((i) => ({
          source: `Satz ${i} über Vögel 🐦`,
          targets: [`sentence ${i} about birds`, `line ${i} on birds`].slice(0, 1 + (i % 2)),
        })),
      )
      assert.equal((await examplesOf(path, { limit: 4, hasTarget: false })).length, 4)
    })
  }

  it('reads no more row groups than are asked for', async () => {
    // The last group is damaged: only who comes to it learns it.
    const bytes = readFileSync(golden('birds-gzip'))
    const { row_groups: groups } = parquetMetadata(Uint8Array.from(bytes).buffer)
    for (const { meta_data: column } of groups.at(-1)!.columns) {
      const start = Number(column!.data_page_offset)
      bytes.fill(0xff, start, start + 20)
    }
    const path = write('late.parquet', bytes)
    assert.equal((await examplesOf(path, { limit: 6 })).length, 6)
    await assert.rejects(async () => examplesOf(path), { code: 'data.bad-parquet' })
  })

  it('a missing column is an error that names those there are', async () => {
    await assert.rejects(async () => examplesOf(golden('birds-none'), { targetColumn: 'refrences' }), {
      code: 'data.missing-column',
      message: /columns are "id", "source", "target", "references", "answers"; did you mean "references"\?/,
    })
  })

  it('a bad row is named by file, row and column, or counted', async () => {
    const path = writeColumns('faults.parquet', [
      { name: 'source', data: ['a', 'b', '', 'd', null], type: 'STRING', nullable: true },
      { name: 'target', data: ['A', null, 'C', 'D', 'E'], type: 'STRING', nullable: true },
    ])
    await assert.rejects(async () => examplesOf(path), {
      code: 'data.bad-row',
      message: `${path}, row 2, column "target": expected text, got null`,
    })
    const { examples, report } = await readAllExamples(path, { skipBadRows: true })
    assert.deepEqual(
      examples.map(({ source }) => source),
      ['a', 'd'],
    )
    assert.deepEqual(
      report.skipped.map(({ file, line, column }) => [file, line, column]),
      [
        [path, 2, 'target'],
        [path, 3, 'source'],
        [path, 5, 'source'],
      ],
    )
  })

  it('a column that is a structure is an error', async () => {
    await assert.rejects(async () => examplesOf(golden('birds-none'), { targetColumn: 'answers' }), {
      code: 'data.column-type',
      message: /column "answers" is a structure/,
    })
  })

  it('a number is no text, however large', async () => {
    await assert.rejects(async () => examplesOf(golden('birds-none'), { targetColumn: 'id' }), {
      code: 'data.bad-row',
      message: /row 1, column "id": expected text, got 0/,
    })
  })

  it('what is no Parquet file is an error, in one line', async () => {
    const good = readFileSync(golden('birds-zstd'))
    for (const [name, bytes] of [
      ['empty.parquet', Buffer.alloc(0)],
      ['text.parquet', Buffer.from('source,target\na,b\n')],
      ['short.parquet', good.subarray(0, good.length - 20)],
    ] as const) {
      await assert.rejects(
        async () => examplesOf(write(name, bytes)),
        (error: ShallowDeepError) => {
          assert.equal(error.code, 'data.bad-parquet')
          assert.doesNotMatch(error.message, /\n/)
          return true
        },
      )
    }
    await assert.rejects(async () => examplesOf('no/such.parquet'), { code: 'data.missing-file' })
  })

  it('a damaged file is refused with a code or read, whatever was damaged', async () => {
    const good = readFileSync(golden('birds-snappy'))
    const root = new Random(3)
    let refused = 0
    for (let i = 0; i < 300; i++) {
      const random = root.fork(i)
      const bytes = Buffer.from(good)
      for (let k = 0; k < 3; k++) bytes[random.integer(bytes.length)] = random.integer(256)
      try {
        await readAllExamples(write('mutant.parquet', bytes), { skipBadRows: true })
      } catch (error) {
        assert.ok(error instanceof ShallowDeepError, `mutant ${i}: ${(error as Error).stack}`)
        refused++
      }
    }
    assert.ok(refused > 50 && refused < 300, `${refused} refused`)
  })

  it('columns need not all be texts, and questions take their form', async () => {
    const path = writeColumns('questions.parquet', [
      { name: 'id', data: [1, 2, 3], type: 'INT32' },
      { name: 'question', data: ['Who?', 'What?', 'Where?'], type: 'STRING' },
      { name: 'context', data: ['Ada.', 'Rain.', 'Here.'], type: 'STRING' },
      { name: 'answer', data: ['Ada', 'rain', 'here'], type: 'STRING' },
    ])
    const options = { sourceColumn: 'question,context', targetColumn: 'answer' }
    const [first, , last] = await examplesOf(path, options)
    assert.deepEqual(first, { source: 'question: Who? context: Ada.', targets: ['Ada'] })
    assert.deepEqual(last, { source: 'question: Where? context: Here.', targets: ['here'] })
    assert.equal(readExamples(path, options).report.rows, 0)
  })
})
