// The log of a training run: means over an interval, one JSON object a line, and what a kill leaves.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tokensPerSecond, TrainLog, type TimedStep } from '../../src/pipeline/index.node.js'

const step = (number: number): TimedStep => ({
  type: 'step',
  step: number,
  totalSteps: 100,
  epoch: 1,
  loss: number,
  shallowLoss: 2 * number,
  deepLoss: 0,
  distillationLoss: 0,
  confidenceLoss: 0,
  gradientNorm: 1,
  learningRate: 0.1 * number,
  numTokens: 50,
  ms: 100,
})

describe('the log of a training run', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shallowdeep-log-'))
  })
  after(() => rm(folder, { recursive: true }))

  const read = async (path: string) =>
    (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))

  it('has a line for every interval of steps, with the mean of losses and the rate', async () => {
    const path = join(folder, 'steps.jsonl')
    const log = await TrainLog.open(path, 4)
    for (let i = 1; i <= 6; i++) await log.step(step(i))
    await log.flush()
    await log.flush()
    const lines = await read(path)
    assert.deepEqual(
      lines.map(({ step, loss, shallowLoss }) => ({ step, loss, shallowLoss })),
      [
        { step: 4, loss: 2.5, shallowLoss: 5 },
        { step: 6, loss: 5.5, shallowLoss: 11 },
      ],
    )
    assert.deepEqual([lines[0].tokensPerSecond, lines[0].learningRate], [500, 0.4])
    assert.ok(lines[1].seconds >= lines[0].seconds)
  })

  it('goes on after what is there, without a line that a kill cut short', async () => {
    const path = join(folder, 'torn.jsonl')
    await writeFile(path, '{"type":"step","step":1}\n{"type":"st')
    const log = await TrainLog.open(path, 1)
    await log.write({ type: 'end' })
    assert.deepEqual(
      (await read(path)).map(({ type }) => type),
      ['step', 'end'],
    )
  })

  it('counts a rate over tokens and time, not over steps', () => {
    assert.equal(
      tokensPerSecond([
        { numTokens: 10, ms: 1000 },
        { numTokens: 90, ms: 1000 },
      ]),
      50,
    )
  })
})
