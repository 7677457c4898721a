// The canonical checkpoint folder: what goes in comes out, damage is named, and an overwrite is seen whole or not at all.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Checkpoint } from '../../src/checkpoint/index.js'
import {
  openRun,
  readCheckpointFolder,
  replaceFile,
  writeCheckpointFolder,
} from '../../src/checkpoint/index.node.js'
import { parseModelConfig, weightSpecs } from '../../src/config/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { useTemporaryFolder } from './temporaryFolder.js'

const golden = (name: string) => fileURLToPath(new URL(`../golden/t5-parity/${name}`, import.meta.url))

const CONFIG = parseModelConfig(
  {
    vocabSize: 8,
    dModel: 4,
    numHeads: 2,
    dKv: 2,
    dFf: 6,
    encoderLayers: 1,
    decoderLayers: 2,
    shallowLayers: 1,
  },
  'test',
)

/** A small checkpoint in which every weight is `value`. */
function constantCheckpoint(value: number): Checkpoint {
  const weights = new Map(
    weightSpecs(CONFIG).map(({ name, shape }) => {
      const length = shape.reduce((product, size) => product * size, 1)
      return [name, { shape, data: new Float32Array(length).fill(value) }]
    }),
  )
  return { config: CONFIG, weights, tokenizerJson: { value }, calibration: { value } }
}

async function assertRefused(promise: Promise<unknown>, code: string, pattern?: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof ShallowDeepError, String(error))
    assert.equal(error.code, code, error.message)
    assert.doesNotMatch(error.message, /\n/)
    if (pattern) assert.match(`${error.message} ${error.hint}`, pattern)
    return true
  })
}

describe('checkpoint folder', () => {
  const temporary = useTemporaryFolder()

  it('reads what was written, and writes the same bytes again', async () => {
    const original = await readCheckpointFolder(golden('free-v11'), { shallowLayers: 2 })
    const checkpoint = {
      ...original,
      tokenizerJson: { model: { vocab: ['ä', '\u2581x'] } },
      calibration: { threshold: 0.5 },
    }
    const first = temporary('first')
    const second = temporary('second')
    await writeCheckpointFolder(first, {
      ...checkpoint,
      modelCard: '# Card\n',
      otherFiles: new Map([['training.json', '{}']]),
    })
    const back = await readCheckpointFolder(first)
    assert.deepEqual(back, checkpoint)
    await writeCheckpointFolder(second, back)
    assert.deepEqual(readdirSync(first).sort(), [
      'README.md',
      'calibration.json',
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'training.json',
    ])
    for (const name of readdirSync(second)) {
      assert.deepEqual(readFileSync(join(second, name)), readFileSync(join(first, name)), name)
    }
  })

  it('reads the folders of the reference implementation, without tokenizer and calibration', async () => {
    for (const name of ['v10', 'v10-old-file', 'v11', 'mt5', 'asymmetric']) {
      const checkpoint = await readCheckpointFolder(golden(name))
      assert.deepEqual(Object.keys(checkpoint).sort(), ['config', 'weights'])
    }
  })

  it('takes half the space in float16 and stays the same from then on', async () => {
    const original = await readCheckpointFolder(golden('v11'))
    const [full, half, again] = [temporary('full'), temporary('half'), temporary('again')]
    await writeCheckpointFolder(full, original)
    await writeCheckpointFolder(half, original, { dtype: 'float16' })
    const rounded = await readCheckpointFolder(half)
    await writeCheckpointFolder(again, rounded, { dtype: 'float16' })
    const size = (folder: string) => readFileSync(join(folder, 'model.safetensors')).length
    assert.ok(size(half) < 0.53 * size(full))
    assert.deepEqual(await readCheckpointFolder(again), rounded)
    for (const [name, { data }] of original.weights) {
      data.forEach((value, i) =>
        assert.ok(
          Math.abs((rounded.weights.get(name)?.data[i] ?? NaN) - value) <=
            2 ** -11 * Math.abs(value) + 2 ** -25,
        ),
      )
    }
  })

  it('says where it looked for a folder that is not there', async () => {
    await assertRefused(
      readCheckpointFolder('no/such/folder'),
      'checkpoint.missing-folder',
      new RegExp(join(process.cwd(), 'no/such/folder')),
    )
    await assertRefused(readCheckpointFolder(golden('v10/config.json')), 'checkpoint.not-a-folder')
  })

  const damages: readonly (readonly [string, (folder: string) => void, string, RegExp])[] = [
    [
      'a folder without config.json',
      (f) => rmSync(join(f, 'config.json')),
      'checkpoint.missing-file',
      /config\.json/,
    ],
    [
      'a folder without weights',
      (f) => rmSync(join(f, 'model.safetensors')),
      'checkpoint.missing-file',
      /model\.safetensors/,
    ],
    [
      'an empty config',
      (f) => writeFileSync(join(f, 'config.json'), ''),
      'checkpoint.bad-json',
      /config\.json is empty/,
    ],
    [
      'a config with a comma too many',
      (f) => writeFileSync(join(f, 'config.json'), '{\n  "d_model": 4,\n}\n'),
      'checkpoint.bad-json',
      /line 3, column 1/,
    ],
    [
      'a config that is an array',
      (f) => writeFileSync(join(f, 'config.json'), '[]'),
      'checkpoint.wrong-type',
      /array/,
    ],
    [
      'a config with a width that is a string',
      (f) => edit(f, (json) => ({ ...json, d_model: '4' })),
      'config.invalid-value',
      /config\.json of .*d_model/,
    ],
    [
      'a config without d_ff',
      (f) => edit(f, (json) => ({ ...json, d_ff: undefined })),
      'config.invalid-value',
      /d_ff/,
    ],
    [
      'a config with an unknown activation',
      (f) => edit(f, (json) => ({ ...json, feed_forward_proj: 'gated-silu' })),
      'config.invalid-value',
      /feedForward/,
    ],
    [
      'a config of another model',
      (f) => edit(f, (json) => ({ ...json, d_ff: 7 })),
      'checkpoint.wrong-shape',
      /DenseReluDense/,
    ],
    [
      'a config of a deeper model',
      (f) => edit(f, (json) => ({ ...json, num_decoder_layers: 3 })),
      'checkpoint.missing-tensor',
      /decoder\.block\.2/,
    ],
    [
      'a config of a shallower model',
      (f) => edit(f, (json) => ({ ...json, num_decoder_layers: 1, shallow_layers: undefined })),
      'config.invalid-value',
      /shallowLayers/,
    ],
    [
      'a cut weights file',
      (f) =>
        writeFileSync(
          join(f, 'model.safetensors'),
          readFileSync(join(f, 'model.safetensors')).subarray(0, -1),
        ),
      'checkpoint.truncated',
      /model\.safetensors/,
    ],
    [
      'a tokenizer that is a number',
      (f) => writeFileSync(join(f, 'tokenizer.json'), '3'),
      'checkpoint.wrong-type',
      /tokenizer\.json.*number/,
    ],
    [
      'a calibration that is no JSON',
      (f) => writeFileSync(join(f, 'calibration.json'), '{"threshold": 0,5}'),
      'checkpoint.bad-json',
      /calibration\.json.*column 17/,
    ],
    [
      'a calibration that is no UTF-8',
      (f) => writeFileSync(join(f, 'calibration.json'), Buffer.of(0x7b, 0xff)),
      'checkpoint.bad-json',
      /UTF-8/,
    ],
    [
      'a file that is a folder',
      (f) => {
        rmSync(join(f, 'config.json'))
        mkdirSync(join(f, 'config.json'))
      },
      'checkpoint.unreadable',
      /config\.json/,
    ],
  ]
  for (const [what, damage, code, pattern] of damages) {
    it(`refuses ${what} with ${code}`, async () => {
      const folder = temporary('damaged')
      await writeCheckpointFolder(folder, constantCheckpoint(1))
      damage(folder)
      await assertRefused(readCheckpointFolder(folder), code, pattern)
    })
  }

  it('names the checkpoints of a run when its folder is given', async () => {
    const folder = temporary('run')
    const run = await openRun(folder)
    await assertRefused(readCheckpointFolder(folder), 'checkpoint.missing-file', /no checkpoint yet/)
    await run.save({ step: 5, files: new Map([['a', 'x']]), best: true })
    await assertRefused(readCheckpointFolder(folder), 'checkpoint.missing-file', /step-5/)
  })

  it('is not overwritten unless asked', async () => {
    const folder = temporary('published')
    await writeCheckpointFolder(folder, constantCheckpoint(1))
    await assertRefused(
      writeCheckpointFolder(folder, constantCheckpoint(2)),
      'checkpoint.exists',
      /--overwrite/,
    )
    assert.deepEqual(await readCheckpointFolder(folder), constantCheckpoint(1))
    assert.deepEqual(readdirSync(dirname(folder)), ['published'])
  })

  it('is replaced with all its files when asked, and leaves nothing else behind', async () => {
    const folder = temporary('published')
    await writeCheckpointFolder(folder, { ...constantCheckpoint(1), modelCard: 'old' })
    await writeCheckpointFolder(folder, constantCheckpoint(2), { overwrite: true })
    assert.deepEqual(await readCheckpointFolder(folder), constantCheckpoint(2))
    assert.equal(readdirSync(folder).includes('README.md'), false)
    assert.deepEqual(readdirSync(dirname(folder)), ['published'])
  })

  it('is never put over a folder that is no checkpoint, nor over a file', async () => {
    const folder = temporary('precious')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'photo.jpg'), 'x')
    await assertRefused(writeCheckpointFolder(folder, constantCheckpoint(1)), 'checkpoint.exists')
    await assertRefused(
      writeCheckpointFolder(folder, constantCheckpoint(1), { overwrite: true }),
      'checkpoint.not-a-checkpoint',
    )
    await assertRefused(
      writeCheckpointFolder(join(folder, 'photo.jpg'), constantCheckpoint(1), { overwrite: true }),
      'checkpoint.not-a-folder',
    )
    assert.deepEqual(readdirSync(folder), ['photo.jpg'])
  })

  it('goes into an empty folder without being asked twice', async () => {
    const folder = temporary('empty')
    mkdirSync(folder, { recursive: true })
    await writeCheckpointFolder(folder, constantCheckpoint(1))
    assert.deepEqual(await readCheckpointFolder(folder), constantCheckpoint(1))
  })

  it('refuses file names that lead out of it', async () => {
    const otherFiles = new Map([['../escape', 'x']])
    const folder = temporary('inside')
    await assertRefused(
      writeCheckpointFolder(folder, { ...constantCheckpoint(1), otherFiles }),
      'checkpoint.bad-file-name',
    )
  })

  it('keeps the old state and cleans up when writing fails', async () => {
    const folder = temporary('published')
    await writeCheckpointFolder(folder, constantCheckpoint(1))
    const otherFiles = new Map([['x'.repeat(300), 'a name longer than file systems take']])
    await assertRefused(
      writeCheckpointFolder(folder, { ...constantCheckpoint(2), otherFiles }, { overwrite: true }),
      'checkpoint.write-failed',
    )
    assert.deepEqual(await readCheckpointFolder(folder), constantCheckpoint(1))
    assert.deepEqual(readdirSync(dirname(folder)), ['published'])
  })

  it('is read from its other name between the two renames of an overwrite, and the next writer settles it', async () => {
    const folder = temporary('published')
    const aside = join(dirname(folder), `.${basename(folder)}.old`)
    await writeCheckpointFolder(folder, constantCheckpoint(1))
    renameSync(folder, aside)
    assert.deepEqual(await readCheckpointFolder(folder), constantCheckpoint(1))
    assert.deepEqual(readdirSync(dirname(folder)), ['.published.old'])
    await assertRefused(writeCheckpointFolder(folder, constantCheckpoint(2)), 'checkpoint.exists')
    await writeCheckpointFolder(folder, constantCheckpoint(2), { overwrite: true })
    assert.deepEqual(await readCheckpointFolder(folder), constantCheckpoint(2))
    assert.deepEqual(readdirSync(dirname(folder)), ['published'])
  })

  it('counts as new once it has its name, though the old one is still there', async () => {
    const folder = temporary('published')
    await writeCheckpointFolder(folder, constantCheckpoint(1))
    renameSync(folder, join(dirname(folder), '.published.old'))
    await writeCheckpointFolder(join(dirname(folder), 'next'), constantCheckpoint(2))
    renameSync(join(dirname(folder), 'next'), folder)
    assert.deepEqual(await readCheckpointFolder(folder), constantCheckpoint(2))
    await writeCheckpointFolder(folder, constantCheckpoint(3), { overwrite: true })
    assert.deepEqual(await readCheckpointFolder(folder), constantCheckpoint(3))
    assert.deepEqual(readdirSync(dirname(folder)), ['published'])
  })

  it('is read whole, old or new, while it is overwritten again and again', async () => {
    const folder = temporary('published')
    await writeCheckpointFolder(folder, constantCheckpoint(0))
    let isWriting = true
    const writing = (async () => {
      for (let value = 1; value <= 40; value++)
        await writeCheckpointFolder(folder, constantCheckpoint(value), { overwrite: true })
      isWriting = false
    })()
    const seen = new Set<number>()
    while (isWriting) {
      const checkpoint = await readCheckpointFolder(folder)
      const value = checkpoint.calibration?.['value'] as number
      assert.deepEqual(checkpoint, constantCheckpoint(value))
      seen.add(value)
    }
    await writing
    assert.ok(seen.size > 1, `saw ${seen.size} states`)
  })

  it('takes a new calibration whole', async () => {
    const folder = temporary('published')
    await writeCheckpointFolder(folder, constantCheckpoint(1))
    await replaceFile(join(folder, 'calibration.json'), '{"threshold": 0.25}')
    assert.deepEqual((await readCheckpointFolder(folder)).calibration, { threshold: 0.25 })
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('.')),
      [],
    )
  })
})

function edit(folder: string, change: (json: Record<string, unknown>) => unknown): void {
  const path = join(folder, 'config.json')
  writeFileSync(
    path,
    JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>)),
  )
}
