// A checkpoint's folder as a model that reads and writes text, and what generate makes of it.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { calibrate } from '../../src/calibration/index.js'
import { toCheckpointFiles, type JsonObject } from '../../src/checkpoint/index.js'
import { openRun, writeCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { parseDecodingOptions, parseModelConfig } from '../../src/config/index.js'
import { decodeOne, free, full, lossless } from '../../src/decoding/index.js'
import { encodeText } from '../../src/data/index.js'
import { generate, policyFor, type TextModel } from '../../src/pipeline/index.js'
import { initialWeights } from '../../src/model/index.js'
import { findCheckpoint, openCheckpoint } from '../../src/pipeline/index.node.js'
import { trainTokenizer } from '../../src/tokenizer/index.js'

const TEXTS = ['eins zwei drei', 'neun null', 'vier fünf', '']

describe('an opened checkpoint', () => {
  let folder: string
  let contents: Parameters<typeof writeCheckpointFolder>[1]
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shallowdeep-open-'))
    const tokenizerJson = (await trainTokenizer(TEXTS, { model: 'bpe', vocabSize: 19 })) as JsonObject
    const shape = {
      dModel: 16,
      numHeads: 2,
      dKv: 8,
      dFf: 32,
      encoderLayers: 1,
      decoderLayers: 3,
      shallowLayers: 1,
    }
    const config = parseModelConfig({ ...shape, vocabSize: 19 }, 'test')
    contents = { config, weights: initialWeights(config, 3), tokenizerJson }
    await writeCheckpointFolder(join(folder, 'plain'), contents)
  })
  after(() => rm(folder, { recursive: true }))

  const open = () => openCheckpoint(join(folder, 'plain'), { backend: 'wasm' })

  it('frees everything when it is disposed', async () => {
    ;(await open()).dispose()
    const before = tf.memory().numTensors
    const model = await open()
    for await (const event of generate(model, 'neun', { policy: free(0.1), maxNewTokens: 5 })) void event
    model.dispose()
    model.dispose()
    assert.equal(tf.memory().numTensors, before)
  })

  it('writes, in commits, the text of the tokens, for each policy and each row what it writes alone', async () => {
    const model = await open()
    try {
      for (const policy of [full(), free(0.05), lossless(0.05)]) {
        const texts = TEXTS.map(() => '')
        const tokens: (readonly number[])[] = []
        for await (const event of generate(model, TEXTS, { policy, maxNewTokens: 8 })) {
          if (event.type === 'commit') texts[event.row] += event.text
          if (event.type === 'end') tokens[event.row] = event.result.tokens
        }
        assert.deepEqual(
          texts,
          tokens.map((ids) => model.tokenizer.decode(ids)),
        )
        for (const [row, text] of TEXTS.entries()) {
          const { ids } = encodeText(model.tokenizer, text, 512)
          const alone = await decodeOne(model.engine, ids, { policy, maxNewTokens: 8 })
          assert.deepEqual(alone.tokens, tokens[row])
        }
      }
    } finally {
      model.dispose()
    }
  })

  it('puts the prefix before each text, cuts long ones and says which', async () => {
    const model = await open()
    try {
      const tokensOf = async (texts: string[], options: { prefix?: string; maxSourceLength?: number }) => {
        const cut: number[] = []
        const tokens: (readonly number[])[] = []
        const events = generate(model, texts, {
          ...options,
          policy: full(),
          maxNewTokens: 6,
          onTruncated: (row) => cut.push(row),
        })
        for await (const event of events) if (event.type === 'end') tokens[event.row] = event.result.tokens
        return { cut, tokens }
      }
      const [prefixed, written] = [
        await tokensOf(['neun null'], { prefix: 'vier ' }),
        await tokensOf(['vier neun null'], {}),
      ]
      assert.deepEqual(prefixed, written)
      const { cut } = await tokensOf(['', 'eins zwei drei'], { maxSourceLength: 2 })
      assert.deepEqual(cut, [1])
    } finally {
      model.dispose()
    }
  })

  it('is the best one of a training run, else the last', async () => {
    const run = await openRun(join(folder, 'run'))
    await assert.rejects(findCheckpoint(join(folder, 'run')), { code: 'checkpoint.empty-run' })
    const files = toCheckpointFiles(contents)
    await run.save({ step: 1, files, best: false })
    assert.equal(await findCheckpoint(join(folder, 'run')), join(folder, 'run', 'step-1'))
    await run.save({ step: 2, files, best: true })
    await run.save({ step: 3, files, best: false })
    assert.equal(await findCheckpoint(join(folder, 'run')), join(folder, 'run', 'step-2'))
  })

  it('needs a tokenizer', async () => {
    const { tokenizerJson: _tokenizer, ...bare } = contents
    await writeCheckpointFolder(join(folder, 'bare'), bare)
    await assert.rejects(openCheckpoint(join(folder, 'bare')), { code: 'checkpoint.no-tokenizer' })
  })
})

describe('a policy from options', () => {
  const engine = { info: { shallowLayers: 2 } } as TextModel['engine']
  const evidence = Array.from({ length: 60 }, (_, i) => ({ confidence: (i % 30) / 30, agree: i % 30 > 12 }))
  const calibration = calibrate(evidence, { shallowLayers: 2 })
  const options = (more: Record<string, unknown>) => parseDecodingOptions(more, 'test')
  const thresholdOf = (model: Parameters<typeof policyFor>[0], more: Record<string, unknown>) => {
    const { threshold } = policyFor(model, options(more))
    return typeof threshold === 'object' ? threshold : { threshold, isAdaptive: null }
  }

  it('keeps a calibrated threshold, and adapts from it where that is asked', () => {
    const calibrated = thresholdOf({ engine, calibration }, { threshold: 'calibrated' })!
    assert.deepEqual([calibrated.threshold, calibrated.isAdaptive], [calibration.threshold, false])
    const adaptive = thresholdOf({ engine, calibration }, { threshold: 'adaptive', policy: 'lossless' })!
    assert.deepEqual([adaptive.threshold, adaptive.isAdaptive], [calibration.threshold, true])
  })

  it('starts anew where nothing was saved, and is a fresh one each time', () => {
    const adaptive = thresholdOf({ engine }, { threshold: 'adaptive' })!
    assert.deepEqual([adaptive.threshold, adaptive.isAdaptive], [0.9, true])
    const policies = [1, 2].map(() => policyFor({ engine, calibration }, options({ threshold: 'adaptive' })))
    assert.notEqual(policies[0].threshold, policies[1].threshold)
  })

  it('takes a number as it is, and no calibration where the policy has no threshold', () => {
    assert.equal(thresholdOf({ engine, calibration }, { threshold: 0.4 })!.threshold, 0.4)
    assert.equal(
      policyFor({ engine, calibration }, options({ policy: 'full', threshold: 'calibrated' })).threshold,
      null,
    )
  })

  it('refuses a calibration of another exit or another confidence, and calibrated without one', () => {
    const other = { code: 'decoding.other-calibration' }
    const deeper = { info: { shallowLayers: 3 } } as TextModel['engine']
    assert.throws(() => policyFor({ engine: deeper, calibration }, options({ threshold: 'adaptive' })), other)
    const entropy = options({ threshold: 'calibrated', confidence: 'entropy' })
    assert.throws(() => policyFor({ engine, calibration }, entropy), other)
    assert.throws(() => policyFor({ engine }, options({ threshold: 'calibrated' })), {
      code: 'decoding.no-calibration',
    })
  })
})
