// A folder or a glob as one data set: which files, in which order, and what is refused.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { readAllExamples, readExamples } from '../../src/data/index.node.js'

describe('data files of a folder or a glob', () => {
  let folder = ''
  const at = (...names: string[]) => join(folder, ...names)
  const csv = (...rows: string[]) => ['source,target', ...rows].join('\n')
  const sourcesOf = async (path: string) => {
    const { examples } = await readAllExamples(path)
    return examples.map(({ source }) => source).join(' ')
  }
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'shallowdeep-files-'))
    for (const name of ['parts', 'parts/inner', 'mixed', 'empty', 'bad']) mkdirSync(at(name))
    writeFileSync(at('parts', 'part-b.csv'), csv('c,C', 'd,D'))
    writeFileSync(at('parts', 'part-a.csv'), csv('a,A', 'b,B'))
    writeFileSync(at('parts', 'part-c.CSV.gz'), gzipSync(csv('e,E')))
    writeFileSync(at('parts', 'README.md'), 'about the parts')
    writeFileSync(at('parts', '.hidden.csv'), csv('x,X'))
    writeFileSync(at('parts', 'inner', 'part.csv'), csv('y,Y'))
    writeFileSync(at('parts', 'odd[1].csv'), csv('o,O'))
    writeFileSync(at('mixed', 'a.csv'), csv('a,A'))
    writeFileSync(at('mixed', 'b.tsv'), 'source\ttarget\nb\tB\n')
    writeFileSync(at('empty', 'notes.txt'), '')
    writeFileSync(at('bad', '1.csv'), csv('a,A'))
    writeFileSync(at('bad', '2.csv'), csv('b,B', ',C'))
  })
  after(() => rmSync(folder, { recursive: true }))

  it('are read by rising name; other, hidden and inner files play no part', async () => {
    assert.equal(await sourcesOf(at('parts')), 'o a b c d e')
    assert.equal(await sourcesOf(at('parts', 'part-*')), 'a b c d e')
    assert.equal(await sourcesOf(at('**', 'part*.csv')), 'y a b c d')
  })

  it('a file whose name looks like a glob is a file', async () => {
    assert.equal(await sourcesOf(at('parts', 'odd[1].csv')), 'o')
  })

  it('the limit counts over all files', async () => {
    const { examples, report } = await readAllExamples(at('parts', 'part-*'), { limit: 3 })
    assert.equal(examples.length, 3)
    assert.equal(report.rows, 3)
  })

  it('a bad row is named by its own file', async () => {
    await assert.rejects(async () => readAllExamples(at('bad')), {
      code: 'data.bad-row',
      message: `${at('bad', '2.csv')}, line 3, column "source": the source is empty`,
    })
    const { report } = await readAllExamples(at('bad'), { skipBadRows: true })
    assert.deepEqual([report.rows, report.skipped[0].file], [2, at('bad', '2.csv')])
  })

  it('none, or of several formats, is an error at once', () => {
    assert.throws(() => readExamples(at('empty')), { code: 'data.no-files', message: /\.csv, \.tsv/ })
    assert.throws(() => readExamples(at('parts', 'train-*.csv')), {
      code: 'data.no-files',
      message: /matches no file/,
    })
    assert.throws(() => readExamples(at('mixed')), {
      code: 'data.mixed-formats',
      message: /a\.csv and .*b\.tsv/,
    })
    assert.throws(() => readExamples(at('empty', '*.txt')), { code: 'data.unknown-format' })
  })
})
