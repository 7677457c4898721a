// Declares the tests of an engine on every checkpoint of the vectors: the logits of every exit in one cached pass over
// padded rows, and the greedy ids of the loop.
import assert from 'node:assert/strict'
import type { ModelWeights } from '../../src/checkpoint/index.js'
import { decodeOne, full } from '../../src/decoding/index.js'
import type { DecoderEngine } from '../../src/decoding/index.js'
import { softmax } from '../decoding/referenceModel.js'
import { parityCaseNames, readParityCase } from '../golden/parity.js'

/** Makes the engine under test from a checkpoint of the vectors. */
export type MakeParityEngine = (model: ModelWeights) => DecoderEngine | Promise<DecoderEngine>

/** 1e-4 + 1e-4 |x|, the vectors' own bound for float32. */
function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(actual.length, expected.length, what)
  for (let i = 0; i < expected.length; i++) {
    const isClose = Math.abs(actual[i] - expected[i]) <= 1e-4 + 1e-4 * Math.abs(expected[i])
    if (!isClose) assert.fail(`${what} ${i}: ${actual[i]}, not ${expected[i]}`)
  }
}

/** Declares the tests. */
export function checkParity(makeEngine: MakeParityEngine): void {
  for (const name of [...parityCaseNames(), 'v10-old-file']) {
    it(`${name}: every exit in one pass gives the reference's logits`, async () => {
      const { model, batches, expected } = readParityCase(name)
      const engine = await makeEngine(model)
      const { decoderLayers: depth, vocabSize } = model.config
      const exits = Array.from({ length: depth }, (_, i) => i + 1)
      try {
        for (const batch of batches) {
          // Padding, on either side, is part of the sources here: it must be masked.
          const encoded = await engine.encode(batch.input_ids)
          const session = encoded.open({ exits })
          const rows = batch.input_ids.map((_, row) => row)
          for (const row of rows) for (const token of batch.decoder_input_ids[row]) session.push(row, token)
          for (const segment of exits.keys()) {
            const choices = await session.run({ segment, rows, exit: ['logits', 'probabilities'] })
            const wanted = segment === depth - 1 ? 'logits' : `shallow_logits.${segment + 1}`
            const logits = expected.get(`${batch.name}.${wanted}`)!.data
            const length = batch.decoder_input_ids[0].length
            for (const row of rows) {
              for (const [position, choice] of choices[row].entries()) {
                const start = (row * length + position) * vocabSize
                const reference = logits.subarray(start, start + vocabSize)
                assertClose(choice.logits!, reference, `${batch.name} ${wanted} ${row} ${position}`)
                const [top1, top2] = softmax(reference).sort((a, b) => b - a)
                assertClose([choice.top1!, choice.top2!], [top1, top2], 'probabilities')
              }
            }
          }
          session.dispose()
          encoded.dispose()
        }
      } finally {
        engine.dispose()
      }
    })

    it(`${name}: full emits the reference's greedy ids`, async () => {
      const { model, batches } = readParityCase(name)
      const engine = await makeEngine(model)
      try {
        for (const { input_ids: inputs, attention_mask: mask, greedy, max_new_tokens: limit } of batches) {
          for (const [row, padded] of inputs.entries()) {
            const source = padded.filter((_, position) => mask[row][position] === 1)
            const { tokens } = await decodeOne(engine, source, { policy: full(), maxNewTokens: limit })
            assert.deepEqual(tokens, greedy[row])
          }
        }
      } finally {
        engine.dispose()
      }
    })
  }
}
