// Examples from files: formats, columns, references, and the error that each kind of bad input gives.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { readAllExamples, readExamples, type ReadOptions } from '../../src/data/index.node.js'
import { MAX_REPORTED_ROWS, type Example } from '../../src/data/index.js'
import type { ShallowDeepError } from '../../src/errors.js'
import { temporaryFiles } from './inputs.js'

const PAIRS: readonly Example[] = [
  { source: 'Grüße, "Ada"', targets: ['Greetings'] },
  { source: 'zwei\nZeilen', targets: ['two\nlines'] },
]
const CSV = 'source,target\r\n"Grüße, ""Ada""",Greetings\r\n"zwei\nZeilen","two\nlines"\r\n'
const TSV = 'target\tother\tsource\nGreetings\t\t"Grüße, ""Ada"""\n"two\nlines"\tx\t"zwei\nZeilen"'
const JSONL = PAIRS.map(({ source, targets }) => JSON.stringify({ target: targets[0], source })).join('\n')

describe('reading examples', () => {
  const write = temporaryFiles()

  async function examplesOf(path: string, options?: ReadOptions): Promise<Example[]> {
    return (await readAllExamples(path, options)).examples
  }
  /** Code, message without the folder, and details of the error that reading gives. */
  async function errorOf(path: string, options?: ReadOptions) {
    let caught: ShallowDeepError | undefined
    await assert.rejects(
      async () => readAllExamples(path, options),
      (error: ShallowDeepError) => {
        caught = error
        return true
      },
    )
    const { code, message, details, kind } = caught!
    assert.equal(kind, 'usage')
    assert.ok(!message.includes('\n'), 'one line')
    return { code, message: message.replaceAll(path, basename(path)), details }
  }

  describe('formats', () => {
    for (const [name, content] of [
      ['pairs.csv', CSV],
      ['pairs.tsv', TSV],
      ['pairs.jsonl', JSONL],
      ['pairs.ndjson', `${JSONL}\r\n\n`],
    ] as const) {
      it(`${name}: plain, with a byte order mark, gzipped with and without .gz, and .gz that is none`, async () => {
        const packed = gzipSync(content)
        const paths = [
          write(name, content),
          write(`bom-${name}`, `\ufeff${content}`),
          write(`${name}.gz`, packed),
          write(`bom-${name}.gz`, gzipSync(`\ufeff${content}`)),
          write(`packed-${name}`, packed),
          write(`plain-${name}.gz`, content),
          write(`TWO-${name.toUpperCase()}.GZ`, gzipSync(content)),
        ]
        for (const path of paths) assert.deepEqual(await examplesOf(path), PAIRS, path)
      })
    }

    it('gzip of several members is read to its end', async () => {
      const path = write(
        'members.csv.gz',
        Buffer.concat([gzipSync('source,target\na,b\n'), gzipSync('c,d\n')]),
      )
      assert.equal((await examplesOf(path)).length, 2)
    })

    it('an unknown ending is an error at once, with the near miss', () => {
      assert.throws(() => readExamples('data/pairs.cvs'), {
        code: 'data.unknown-format',
        message: /did you mean \.csv\?/,
      })
      assert.throws(() => readExamples('pairs'), { code: 'data.unknown-format', message: /no ending/ })
      assert.throws(() => readExamples('pairs.parquet.gz'), { code: 'data.unknown-format' })
    })
  })

  describe('opening', () => {
    it('a missing file says which absolute path was tried', async () => {
      const { code, details } = await errorOf('no/such/file.csv')
      assert.equal(code, 'data.missing-file')
      assert.equal(details.path, resolve('no/such/file.csv'))
    })

    it('a folder without data files is an error, and so is UTF-16', async () => {
      const folder = `${write('beside.csv', CSV)}.csv`
      mkdirSync(folder)
      assert.equal((await errorOf(folder)).code, 'data.no-files')
      const { code } = await errorOf(write('utf16.csv', Buffer.from(`\ufeff${CSV}`, 'utf16le')))
      assert.equal(code, 'data.not-utf8')
    })

    it('gzip that ends too early or is damaged is an error, not a shorter data set', async () => {
      const rows = Array.from({ length: 2000 }, (_, i) => `Satz ${i * 7919},sentence ${i * 104729}`).join(
        '\n',
      )
      const packed = gzipSync(`source,target\n${rows}\n`)
      const short = await errorOf(write('short.csv.gz', packed.subarray(0, packed.length - 100)))
      assert.equal(short.code, 'data.bad-gzip')
      assert.match(short.message, /ends too early/)
      const damaged = Buffer.from(packed)
      damaged.fill(0xff, 2000, 2100)
      assert.equal((await errorOf(write('damaged.csv.gz', damaged))).code, 'data.bad-gzip')
    })

    it('a file without rows is an error: empty, header alone, or nothing usable', async () => {
      for (const [name, content] of [
        ['empty.csv', ''],
        ['header.csv', 'source,target\n'],
        ['empty.jsonl', '\n'],
      ] as const) {
        assert.equal((await errorOf(write(name, content))).code, 'data.no-examples', name)
      }
      const useless = await errorOf(write('useless.csv', 'source,target\n,b\n,c\n'), { skipBadRows: true })
      assert.equal(useless.code, 'data.no-examples')
      assert.match(useless.message, /none of the 2 rows can be used; line 2: the source is empty/)
    })
  })

  describe('columns', () => {
    it('are chosen by name; several target columns give one reference each, empty ones none', async () => {
      const path = write('columns.csv', 'id,de,en 1,en 2\n1,a,b,c\n2,d,,e\n')
      const expected = [
        { source: 'a', targets: ['b', 'c'] },
        { source: 'd', targets: ['e'] },
      ]
      assert.deepEqual(await examplesOf(path, { sourceColumn: 'de', targetColumn: 'en 1, en 2' }), expected)
    })

    it('several source columns are joined with their names, the form of T5 for questions', async () => {
      const path = write('questions.csv', 'context,question,answer\nIt rains.,Does it rain?,yes\n')
      assert.deepEqual(await examplesOf(path, { sourceColumn: 'question,context', targetColumn: 'answer' }), [
        { source: 'question: Does it rain? context: It rains.', targets: ['yes'] },
      ])
    })

    it('a missing one names those there are and the near miss', async () => {
      const path = write('near.csv', 'sorce,target\na,b\n')
      const { code, message, details } = await errorOf(path)
      assert.equal(code, 'data.missing-column')
      assert.equal(
        message,
        'near.csv: no column "source"; the columns are "sorce", "target"; did you mean "sorce"?',
      )
      assert.deepEqual(details.columns, ['sorce', 'target'])
      const bad = await errorOf(write('near-2.csv', 'source,target\n,\n'), {
        targetColumn: 'target,target_2',
        skipBadRows: true,
      })
      assert.equal(bad.code, 'data.missing-column')
    })

    it('one that occurs twice is an error if it is wanted', async () => {
      const path = write('twice.csv', 'source,target,x,x,target\na,b,1,2,c\n')
      assert.equal((await errorOf(path)).code, 'data.duplicate-column')
      assert.deepEqual(await examplesOf(path, { hasTarget: false }), [{ source: 'a', targets: [] }])
    })

    it('without targets the target column may be absent', async () => {
      const path = write('sources.csv', 'source\na\n"b\nc"\n')
      assert.deepEqual(
        (await examplesOf(path, { hasTarget: false })).map(({ source }) => source),
        ['a', 'b\nc'],
      )
    })
  })

  describe('references as JSON arrays', () => {
    it('are read only when asked for', async () => {
      const path = write('arrays.csv', 'source,target\na,"[""b"", ""c""]"\n')
      assert.deepEqual(await examplesOf(path, { jsonReferences: true }), [
        { source: 'a', targets: ['b', 'c'] },
      ])
      assert.deepEqual(await examplesOf(path), [{ source: 'a', targets: ['["b", "c"]'] }])
    })

    it('in JSON lines are arrays or texts that hold one; without the flag an array is a bad row that names it', async () => {
      const path = write(
        'arrays.jsonl',
        '{"source":"a","target":["b","c"]}\n{"source":"d","target":"[\\"e\\"]"}\n',
      )
      assert.deepEqual(
        (await examplesOf(path, { jsonReferences: true })).map(({ targets }) => targets),
        [['b', 'c'], ['e']],
      )
      const { code, message } = await errorOf(path)
      assert.equal(code, 'data.bad-row')
      assert.match(message, /line 1, column "target": expected text, got \["b","c"\].*--json-references/)
    })

    for (const cell of ['b', '"b"', '{}', '[]', '[1]', '["b", ""]', '["b"', 'null']) {
      it(`rejects ${cell}`, async () => {
        const csv = write('cell.csv', `source,target\na,"${cell.replaceAll('"', '""')}"\n`)
        const { code, details } = await errorOf(csv, { jsonReferences: true })
        assert.equal(code, 'data.bad-row')
        assert.deepEqual([details.line, details.column], [2, 'target'])
      })
    }
  })

  describe('rows that can not be used', () => {
    const cases: [
      name: string,
      content: string | Buffer,
      line: number,
      column: string | undefined,
      reason: RegExp,
    ][] = [
      ['source.csv', 'source,target\na,b\n"\n",c\n', 3, 'source', /source is empty/],
      ['target.csv', 'source,target\r\n"a\r\nb",c\r\nd, \r\n', 4, 'target', /target is empty/],
      ['few.csv', 'source,target\na,b\nc\n', 3, undefined, /expected 2 cells as in the header, got 1/],
      ['many.csv', 'source,target\na,b,c\n', 2, undefined, /expected 2 cells as in the header, got 3/],
      ['quote.csv', 'source,target\na,b\nc,d"e\n', 3, 'target', /quote in a cell/],
      ['closing.tsv', 'source\ttarget\n"c"d\te\n', 2, 'source', /after a closing quote/],
      ['open.csv', 'source,target\na,b\n\n"c,d\ne,f\n', 4, 'source', /never closed/],
      ['bytes.csv', Buffer.from('source,target\na,b\nc,\xff\n', 'latin1'), 3, 'target', /UTF-8/],
      ['bytes.jsonl', Buffer.from('{"source":"\xff"}\n', 'latin1'), 1, undefined, /UTF-8/],
      ['syntax.jsonl', '{"source":"a","target":"b"}\n\n{"source":\n', 3, undefined, /not valid JSON/],
      ['array.jsonl', '["a","b"]\n', 1, undefined, /expected a JSON object, got an array/],
      ['null.jsonl', 'null\n', 1, undefined, /expected a JSON object, got null/],
      [
        'key.jsonl',
        '{"source":"a","target":"b"}\n{"source":"a","targt":"b"}\n',
        2,
        'target',
        /no such key; the keys are "source", "targt"; did you mean "targt"\?/,
      ],
      ['number.jsonl', '{"source":3,"target":"b"}\n', 1, 'source', /expected text, got 3/],
    ]
    for (const [name, content, line, column, reason] of cases) {
      it(`${name}: error with file, line ${line}${column === undefined ? '' : ` and column ${column}`}`, async () => {
        const path = write(name, content)
        const { code, message, details } = await errorOf(path)
        assert.equal(code, 'data.bad-row')
        assert.ok(
          message.startsWith(`${name}, line ${line}${column === undefined ? '' : `, column "${column}"`}: `),
          message,
        )
        assert.match(message, reason)
        assert.deepEqual([details.path, details.line, details.column], [path, line, column])
      })
    }

    it('are left out and counted with skipBadRows; the good ones all come', async () => {
      const path = write('mixed.csv', 'source,target\na,b\n,c\nd\n"e"x,f\ng,h\ni,"j\nk,l\n')
      const { examples, report } = await readAllExamples(path, { skipBadRows: true })
      assert.deepEqual(
        examples.map(({ source }) => source),
        ['a', 'g', 'k'],
      )
      assert.deepEqual([report.rows, report.numSkipped], [3, 4])
      assert.deepEqual(
        report.skipped.map(({ line, column }) => [line, column]),
        [
          [3, 'source'],
          [4, undefined],
          [5, 'source'],
          [7, 'target'],
        ],
      )
    })

    it(`the report keeps the first ${MAX_REPORTED_ROWS} and counts all`, async () => {
      const rows = Array.from({ length: 50 }, (_, i) => (i === 49 ? 'a,b' : ',b'))
      const { report } = await readAllExamples(write('bad.csv', `source,target\n${rows.join('\n')}`), {
        skipBadRows: true,
      })
      assert.deepEqual([report.rows, report.numSkipped, report.skipped.length], [1, 49, MAX_REPORTED_ROWS])
      assert.equal(report.skipped[19].line, 21)
    })

    it('a header at fault is never skipped', async () => {
      const path = write('head.csv', 'sou"rce,target\na,b\n')
      assert.equal((await errorOf(path, { skipBadRows: true })).code, 'data.bad-row')
    })
  })

  describe('limit', () => {
    it('reads that many examples and looks at no row behind them', async () => {
      const path = write('limit.csv', 'source,target\na,b\nc,d\n,bad\n')
      const { examples, report } = await readAllExamples(path, { limit: 2 })
      assert.deepEqual([examples.length, report.rows, report.numSkipped], [2, 2, 0])
      assert.deepEqual(await examplesOf(path, { limit: 0 }), [])
    })

    it('a stream may be left in the middle', async () => {
      const path = write('long.csv', `source,target\n${'a,b\n'.repeat(100_000)}`)
      const stream = readExamples(path)
      for await (const example of stream) {
        assert.equal(example.source, 'a')
        if (stream.report.rows === 3) break
      }
      assert.equal(stream.report.rows, 3)
    })
  })

  it('keys that every object inherits are no columns', async () => {
    const path = write('inherited.jsonl', '{"source":"a","target":"b"}\n')
    assert.equal((await errorOf(path, { sourceColumn: 'constructor' })).code, 'data.bad-row')
  })
})
