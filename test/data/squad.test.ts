// Questions in SQuAD's format: what becomes an example, and what each fault is reported as.
import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { readAllExamples } from '../../src/data/index.node.js'
import { temporaryFiles } from './inputs.js'

const answer = (text: unknown) => ({ text, answer_start: 0 })
const question = (id: string, asked: unknown, ...answers: unknown[]) => ({
  id,
  question: asked,
  answers: answers.map(answer),
})
const paragraph = (context: unknown, ...qas: unknown[]) => ({ context, qas })
const file = (...paragraphs: unknown[]) => ({ version: '1.1', data: [{ title: 'T', paragraphs }] })

describe('SQuAD files', () => {
  const write = temporaryFiles()
  const GOOD = file(
    paragraph(
      'It rains 🌧.',
      question('1', 'Does it?', 'It rains', 'rains', 'It rains'),
      question('2', 'What?', '🌧'),
    ),
    paragraph('Snow.', question('3', 'Which?', 'Snow')),
  )

  it('a question becomes an example with its different answers, in file order, plain or gzipped', async () => {
    const expected = [
      { source: 'question: Does it? context: It rains 🌧.', targets: ['It rains', 'rains'] },
      { source: 'question: What? context: It rains 🌧.', targets: ['🌧'] },
      { source: 'question: Which? context: Snow.', targets: ['Snow'] },
    ]
    const text = JSON.stringify(GOOD)
    for (const path of [write('good.json', text), write('good.json.gz', gzipSync(`\ufeff${text}`))]) {
      assert.deepEqual((await readAllExamples(path)).examples, expected)
    }
    assert.equal((await readAllExamples(write('limit.json', text), { limit: 2 })).examples.length, 2)
  })

  it('a question that can not be used is an error with its line and key, or counted', async () => {
    const text = JSON.stringify(
      file(
        paragraph(
          'C.',
          question('a', 'Q?', 'C'),
          question('b', 'Q?'),
          question('c', '', 'C'),
          question('d', 'Q?', 5),
        ),
        paragraph(' ', question('e', 'Q?', 'C')),
        paragraph('D.', question('f', 'Q?', 'D')),
      ),
      null,
      1,
    )
    const path = write('faults.json', text)
    const lineOf = (id: string) => text.slice(0, text.indexOf(`"id": "${id}"`)).split('\n').length
    const key = (p: number, rest: string) => `data[0].paragraphs[${p}].${rest}`
    const faults = [
      [lineOf('b'), key(0, 'qas[1].answers')],
      [lineOf('c'), key(0, 'qas[2].question')],
      [lineOf('d'), key(0, 'qas[3].answers')],
      [lineOf('e'), key(1, 'context')],
    ]
    await assert.rejects(async () => readAllExamples(path), {
      code: 'data.bad-row',
      details: { path, line: faults[0][0], column: faults[0][1], reason: 'the question has no answer' },
    })
    const { examples, report } = await readAllExamples(path, { skipBadRows: true })
    assert.equal(examples.length, 2)
    assert.deepEqual(
      report.skipped.map(({ line, column }) => [line, column]),
      faults,
    )
  })

  it('without targets, questions need no answers', async () => {
    const path = write('asked.json', JSON.stringify(file(paragraph('C.', question('1', 'Q?')))))
    const { examples } = await readAllExamples(path, { hasTarget: false })
    assert.deepEqual(examples, [{ source: 'question: Q? context: C.', targets: [] }])
  })

  for (const [name, content, reason] of [
    ['syntax.json', '{"data": [', /not valid JSON/],
    ['lines.json', '{"source":"a"}\n{"source":"b"}\n', /not valid JSON/],
    ['array.json', '[]', /"data"/],
    ['article.json', '{"data":[{}]}', /data\[0\]: expected a list "paragraphs"/],
    [
      'qas.json',
      '{"data":[{"paragraphs":[{"context":"C"}]}]}',
      /data\[0\]\.paragraphs\[0\]: expected a list "qas"/,
    ],
    ['bytes.json', Buffer.from('{"data":"\xff"}', 'latin1'), /UTF-8/],
  ] as const) {
    it(`${name} is of another form: an error, also where bad rows may be left out`, async () => {
      const path = write(name, content)
      await assert.rejects(async () => readAllExamples(path, { skipBadRows: true }), {
        code: 'data.bad-squad',
        message: reason,
      })
    })
  }
})
