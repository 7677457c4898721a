// The tables of a document: found by their comments, replaced between them, everything else left alone.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { findTables, replaceTable } from '../../bench/performance/document.js'

const DOCUMENT = `# Speed

<!-- bench: bandwidth --threads 1,2 -->

| old |

<!-- /bench -->

In between.

<!-- bench: decode -->
<!-- /bench -->
The end.
`

describe('tables of a document', () => {
  it('are found with the words of their commands', () => {
    assert.deepEqual(
      findTables(DOCUMENT, 'd.md').map(({ words }) => words),
      [['bandwidth', '--threads', '1,2'], ['decode']],
    )
  })

  it('are replaced between their comments, and nothing else is', () =>
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[|a-z ]{1,9}$/), { minLength: 1 }),
        fc.nat(1),
        (lines, which) => {
          const body = lines.map((line) => `|${line}|`).join('\n')
          const tables = findTables(DOCUMENT, 'd.md')
          const { start, end } = tables[which]
          const replaced = replaceTable(DOCUMENT, tables[which], body)
          const old = DOCUMENT.split('\n')
          const expected = [...old.slice(0, start), '', body, '', ...old.slice(end)].join('\n')
          assert.equal(replaced, expected)
          assert.deepEqual(
            findTables(replaced, 'd.md').map(({ words }) => words),
            tables.map(({ words }) => words),
          )
          // Again, with the same body, nothing changes.
          assert.equal(replaceTable(replaced, findTables(replaced, 'd.md')[which], body), replaced)
        },
      ),
    ))

  it('are refused with their line where a comment has no partner', () => {
    for (const [text, line] of [
      ['no table', 1],
      ['<!-- bench: decode -->\n| a |', 1],
      ['a\n<!-- /bench -->', 2],
      ['<!-- bench: decode -->\n<!-- bench: decode -->\n<!-- /bench -->', 1],
      ['<!-- bench:  -->\n<!-- /bench -->', 1],
    ] as const) {
      assert.throws(() => findTables(text, 'd.md'), { code: 'bench.bad-marker', details: { line } })
    }
  })
})
