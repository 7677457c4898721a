// Files of predictions: what is a line, what is a prediction, and that what is written is read again.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { Prediction } from '../../src/data/index.js'
import { readPredictions, writePredictions } from '../../src/data/index.node.js'

const folder = mkdtempSync(join(tmpdir(), 'shallowdeep-predictions-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function readBytes(bytes: string | Uint8Array, name = 'predictions.txt'): Promise<Prediction[]> {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return readPredictions(path)
}

const textsOf = (predictions: readonly Prediction[]) => predictions.map(({ text }) => text)

describe('a file of predictions', () => {
  for (const [what, content, expected] of [
    ['with a line feed at its end', 'a\nb\n', ['a', 'b']],
    ['without one', 'a\nb', ['a', 'b']],
    ['with CR LF', 'a\r\nb\r\n', ['a', 'b']],
    ['with an empty line in the middle', 'a\n\nb\n', ['a', '', 'b']],
    ['with an empty line of CR LF', 'a\r\n\r\nb', ['a', '', 'b']],
    ['with an empty line at its end', 'a\n\n', ['a', '']],
    ['of one empty line', '\n', ['']],
    ['that is empty', '', []],
    ['with spaces that belong to the text', ' a \t\n', [' a \t']],
    ['with a byte order mark', '\ufeffa\n', ['a']],
    ['with line breaks of Unicode and a lone CR, which end no line', 'a\u2028b\rc\n', ['a\u2028b\rc']],
  ] as const) {
    it(`has a prediction a line: ${what}`, async () => {
      assert.deepEqual(textsOf(await readBytes(content)), expected)
      assert.deepEqual(textsOf(await readBytes(gzipSync(content), 'predictions.txt.gz')), expected)
    })
  }

  it('as JSON lines has the text of each object, tokens and times where they are there; empty lines are none', async () => {
    const lines = [
      '{"text": "a\\nb", "exits": ["deep"]}',
      '',
      '{"text": "", "tokens": [1], "decodingMs": 2.5}',
    ]
    const read = await readBytes(lines.join('\n'), 'predictions.jsonl')
    assert.deepEqual(JSON.parse(JSON.stringify(read)), [
      { text: 'a\nb' },
      { text: '', tokens: [1], decodingMs: 2.5 },
    ])
  })

  for (const [what, line] of [
    ['without a text', '{"prediction": "a"}'],
    ['with a text that is none', '{"text": 3}'],
    ['that is no object', '"a"'],
    ['that is no JSON', 'a'],
    ['with a negative time', '{"text": "a", "decodingMs": -1}'],
  ] as const) {
    it(`as JSON lines refuses a line ${what}, and names it`, async () => {
      await assert.rejects(readBytes(`{"text": "a"}\n${line}\n`, 'bad.jsonl'), {
        code: 'data.bad-prediction',
        message: /bad\.jsonl, line 2: /,
      })
    })
  }

  it('must be UTF-8 and exist', async () => {
    await assert.rejects(readBytes(Uint8Array.of(0x61, 0xff, 0x0a)), { code: 'data.not-utf8' })
    await assert.rejects(readPredictions(join(folder, 'none.txt')), { code: 'data.missing-file' })
  })
})

describe('writing predictions', () => {
  it('any texts come back from JSON lines, and texts without line breaks from plain ones', async () => {
    const prediction = fc.record(
      {
        text: fc.string({ unit: 'grapheme' }),
        tokens: fc.array(fc.nat(9)),
        decodingMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      },
      { requiredKeys: ['text'] },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(prediction), async (predictions) => {
        const json = join(folder, 'written.jsonl')
        assert.equal(await writePredictions(json, predictions), 0)
        const written = JSON.parse(JSON.stringify(predictions))
        assert.deepEqual(JSON.parse(JSON.stringify(await readPredictions(json))), written)
        const plain = join(folder, 'written.txt')
        const texts = predictions.map(({ text }) => text.replace(/[\r\n]/g, '').replace(/^\ufeff/, ''))
        await writePredictions(
          plain,
          texts.map((text) => ({ text })),
        )
        assert.deepEqual(textsOf(await readPredictions(plain)), texts)
      }),
      { numRuns: 50 },
    )
  })

  it('a line break in a plain text becomes a space, and is counted', async () => {
    const path = join(folder, 'breaks.txt')
    const texts = ['a\nb', 'c\r\nd', 'e\rf', 'g']
    assert.equal(
      await writePredictions(
        path,
        texts.map((text) => ({ text })),
      ),
      3,
    )
    assert.equal(readFileSync(path, 'utf8'), 'a b\nc d\ne f\ng\n')
  })
})
