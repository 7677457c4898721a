// The samples in datasets/ are what their READMEs say, and the readers take them with the flags given there.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readAllExamples } from '../../src/data/index.node.js'

const fileIn = (name: string) => fileURLToPath(new URL(`../../datasets/${name}`, import.meta.url))

interface SquadFile {
  readonly version: string
  readonly data: readonly {
    readonly paragraphs: readonly {
      readonly context: string
      readonly qas: readonly {
        readonly id: string
        readonly answers: readonly { readonly text: string; readonly answer_start: number }[]
      }[]
    }[]
  }[]
}

describe('datasets/', () => {
  it('translation: 80 different sentences of 4 to 12 words, each with two different references', async () => {
    const { examples } = await readAllExamples(fileIn('translation_de_en/test.csv'), {
      targetColumn: 'target_1,target_2',
    })
    assert.equal(examples.length, 80)
    assert.equal(new Set(examples.map(({ source }) => source)).size, 80)
    for (const { source, targets } of examples) {
      const numWords = source.split(' ').length
      assert.ok(numWords >= 4 && numWords <= 12, source)
      assert.equal(new Set(targets).size, 2, source)
    }
  })

  it('summarization: 6 dialogues of several turns, each longer than its summary', async () => {
    const { examples } = await readAllExamples(fileIn('summarization_dialogues/test.csv'), {
      sourceColumn: 'dialogue',
      targetColumn: 'summary',
    })
    assert.equal(examples.length, 6)
    for (const { source, targets } of examples) {
      for (const turn of source.split('\n')) assert.match(turn, /^#Person[12]#: \S/)
      assert.equal(targets.length, 1)
      assert.ok(targets[0].length < source.length)
    }
  })

  it('question answering: each answer stands in its paragraph at answer_start, counted in code points', () => {
    const file = JSON.parse(readFileSync(fileIn('question_answering/test.json'), 'utf8')) as SquadFile
    assert.equal(file.version, '1.1')
    const paragraphs = file.data.flatMap((article) => article.paragraphs)
    const questions = paragraphs.flatMap(({ context, qas }) =>
      qas.map((question) => ({ context, ...question })),
    )
    assert.equal(paragraphs.length, 4)
    assert.equal(new Set(questions.map(({ id }) => id)).size, 12)
    let numShifted = 0
    for (const { id, context, answers } of questions) {
      const codePoints = [...context]
      assert.ok(answers.length > 0, id)
      for (const { text, answer_start: start } of answers) {
        assert.equal(codePoints.slice(start, start + [...text].length).join(''), text, id)
        if (context.indexOf(text) !== start) numShifted++
      }
    }
    assert.ok(numShifted > 0, 'an answer behind a surrogate pair tells code points from UTF-16 units')
  })

  it('question answering: read as "question: ... context: ..." with the answers as references', async () => {
    const { examples } = await readAllExamples(fileIn('question_answering/test.json'))
    assert.equal(examples.length, 12)
    assert.ok(
      examples[0].source.startsWith(
        'question: How often does the ferry cross the bay each day? context: The ',
      ),
    )
    assert.deepEqual(examples[0].targets, ['eleven times', 'eleven'])
  })
})
