// `choose-depth` on the tiny run: its JSON, its table, and its mistakes.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DepthChoice } from '../../src/evaluation/index.js'
import { runCommand } from './runCommand.js'
import { makeTinyData, trainTinyRun } from './tinyRun.js'

async function chooseDepth(words: readonly string[]) {
  const { output } = await trainTinyRun()
  return runCommand([
    'choose-depth',
    '--checkpoint',
    output,
    '--backend',
    'wasm',
    '--max-new-tokens',
    '8',
    ...words,
  ])
}

describe('choose-depth', () => {
  it('prints the choice with a row for each layer but the last, along its own output without any targets', async () => {
    const { folder } = await makeTinyData()
    const data = join(folder, 'sources.csv')
    writeFileSync(data, 'source\neins zwei\nneun null\n')
    const { code, stdout, stderr } = await chooseDepth(['--data', data, '--json', '--min-evidence', '1'])
    assert.equal(code, 0, stderr)
    const choice = JSON.parse(stdout) as DepthChoice
    assert.deepEqual([choice.decoderLayers, choice.sequences, choice.rows.length], [3, 2, 2])
    assert.ok(choice.shallowLayers === 1 || choice.shallowLayers === 2)
    for (const row of choice.rows) {
      assert.ok(row.agreement >= 0 && row.agreement <= 1 && row.shallowMs > 0 && row.deepMs > 0)
      assert.deepEqual(
        row.thresholds.map(({ threshold }) => threshold),
        [0.5, 0.9],
      )
    }
    // The tokens of the own output, the end of sequence among them.
    assert.ok(choice.tokens > 2 && choice.tokens <= 16)
  })

  it('goes along the first references when asked, and shows a table of at most 80 columns and its reason', async () => {
    const { data } = await makeTinyData()
    const { code, stdout, stderr } = await chooseDepth([
      '--data',
      data,
      '--limit',
      '3',
      '--along',
      'references',
    ])
    assert.equal(code, 0, stderr)
    for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line)
    assert.match(stdout, /^Shallow exit after [12] of 3 layers/m)
    assert.match(stdout.replaceAll(/\n {2}/g, ' '), /agreement over \d+ tokens of 3 sequences/)
  })

  it('refuses an agreement above 1 in one line', async () => {
    const { data } = await makeTinyData()
    const { code, stderr } = await chooseDepth(['--data', data, '--min-agreement', '98'])
    assert.match(stderr, /^error: --min-agreement: expected a number from 0 to 1, got 98\n/)
    assert.equal(code, 2)
  })
})
