// `score`: every task and form of data, the shape of its JSON, and what it says of files that do not fit each other.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { QualityScore } from '../../src/evaluation/index.js'
import { METRIC_NAMES, metricByName } from '../../src/metrics/index.js'
import { runCommand, temporaryFolder } from './runCommand.js'

const folder = temporaryFolder('score')

function write(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const data = write(
  'data.csv',
  'source,one,two\nx,the cat sat,a cat sat\ny,hello world,\nz,good day,good day to you\n',
)
const predictions = write('predictions.txt', 'the cat sat down\r\n\r\ngood day to you')
const fileWords = ['--data', data, '--predictions', predictions, '--target-column', 'one,two']

interface Scores {
  readonly examples: number
  readonly quality: Record<string, QualityScore>
}

async function score(words: readonly string[]): Promise<Scores> {
  const { code, stdout, stderr } = await runCommand(['score', ...words, '--json'])
  assert.equal(code, 0, stderr)
  assert.equal(stderr, '')
  return JSON.parse(stdout) as Scores
}

describe('score', () => {
  it('gives the task’s metrics in the shape of evaluate, an empty line as an empty prediction', async () => {
    const result = await score([...fileWords, '--task', 'translation'])
    assert.deepEqual(Object.keys(result), ['examples', 'quality'])
    assert.equal(result.examples, 3)
    assert.deepEqual(Object.keys(result.quality), ['bleu', 'chrf'])
    const texts = ['the cat sat down', '', 'good day to you']
    const references = [['the cat sat', 'a cat sat'], ['hello world'], ['good day', 'good day to you']]
    for (const [name, { score: value, low, high, signature }] of Object.entries(result.quality)) {
      assert.equal(value, metricByName(name).score(texts, references))
      assert.ok(low! <= value && value <= high!)
      assert.match(signature, /^nrefs:var\|/)
    }
  })

  it('gives every metric there is when asked, and other intervals at another level', async () => {
    const words = [...fileWords, '--metrics', METRIC_NAMES.join(',')]
    const [narrow, wide] = await Promise.all([
      score([...words, '--level', '0.5']),
      score([...words, '--level', '0.99', '--resamples', '2000', '--seed', '7']),
    ])
    assert.deepEqual(Object.keys(narrow.quality), [...METRIC_NAMES])
    const { chrf } = narrow.quality
    assert.ok(chrf.high! - chrf.low! < wide.quality.chrf.high! - wide.quality.chrf.low!)
  })

  it('scores answers to a SQuAD file, and JSON lines as generate writes them', async () => {
    const qas = ['cat', 'dog'].map((id) => ({
      id,
      question: `${id}?`,
      answers: [{ text: `The ${id}` }, { text: id }],
    }))
    const squad = write('squad.json', JSON.stringify({ data: [{ paragraphs: [{ context: 'a b', qas }] }] }))
    const answers = write('answers.jsonl', '{"text": "cat!", "tokens": [3, 1]}\n{"text": "c"}\n')
    const result = await score(['--task', 'question-answering', '--data', squad, '--predictions', answers])
    assert.deepEqual(
      Object.entries(result.quality).map(([name, { score: value }]) => [name, value]),
      [
        ['exactMatch', 50],
        ['f1', 50],
      ],
    )
  })

  it('takes a limit for both files', async () => {
    const result = await score([...fileWords, '--limit', '2'])
    assert.equal(result.examples, 2)
  })

  it('refuses other numbers of predictions and examples in one line that says both', async () => {
    const few = write('few.txt', 'the cat sat down\n\n')
    const result = await runCommand(['score', '--data', data, '--predictions', few, '--target-column', 'one'])
    assert.equal(
      result.stderr,
      `error: ${few} has 2 predictions, ${data} has 3 examples; expected one prediction an example\n` +
        'hint: one line a prediction, in the order of the data; an empty line is an empty prediction\n',
    )
    assert.deepEqual([result.code, result.stdout], [2, ''])
  })

  it('says how many rows were left out, where numbers differ and where they do not', async () => {
    const words = ['score', '--data', data, '--target-column', 'two', '--skip-bad-rows']
    const [same, other] = await Promise.all([
      runCommand([...words, '--json', '--predictions', write('two.txt', 'a\nb\n')]),
      runCommand([...words, '--predictions', predictions]),
    ])
    assert.equal(same.stderr, 'warning: 1 rows could not be used and were left out\n')
    assert.equal((JSON.parse(same.stdout) as Scores).examples, 2)
    assert.match(other.stderr, /has 2 examples \(1 of its rows were left out\); expected/)
  })

  it('shows a table of at most 80 columns with the signatures', async () => {
    const { code, stdout } = await runCommand(['score', ...fileWords])
    assert.equal(code, 0)
    for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line)
    assert.match(stdout, /^BLEU: nrefs:var\|case:mixed\|/m)
  })
})
