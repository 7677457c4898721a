// The LayersModel on all checkpoints of the vectors against the reference implementation: encoder states, every decoder
// state, the logits and confidences of every exit, loss, and greedy ids; on wasm and on the native backend.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { relativeBucket, type BucketOptions } from '../../src/config/index.js'
import { buildModel, exitLogits, type ShallowDeepModel } from '../../src/model/index.js'
import { parityCaseNames, readGoldenJson, readParityCase, type ParityBatch } from '../golden/parity.js'
import { onEachBackend } from '../training/onEachBackend.js'

// A good implementation gets 1e-5; the vectors allow 1e-4 + 1e-4 |x| for float32.
function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(actual.length, expected.length, what)
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    worst = Math.max(worst, Math.abs(actual[i] - expected[i]) / (1 + Math.abs(expected[i])))
  }
  assert.ok(worst <= 1e-4, `${what}: worst difference ${worst}`)
}

const tokens = (rows: number[][]) => tf.tensor2d(rows, undefined, 'int32')

/** Logits [B*T, V] of the exit after `layer` (from 1), by the pure functions over the states model's output. */
function logitsAfter(model: ShallowDeepModel, state: tf.Tensor): tf.Tensor2D {
  const { config, variables } = model
  const embedding = variables.get('embedding')!
  const head = config.tieEmbeddings ? tf.transpose(embedding) : variables.get('head')!
  const weights = { norm: variables.get('decoder.finalNorm') as tf.Tensor1D, head: head as tf.Tensor2D }
  const options = { epsilon: config.layerNormEpsilon, scaleLogits: config.scaleLogits }
  return exitLogits(tf.reshape(state, [-1, config.dModel]) as tf.Tensor2D, weights, options)
}

function confidences(logits: tf.Tensor): Float32Array {
  const { values } = tf.topk(tf.softmax(logits), 2)
  const [first, second] = tf.unstack(values, 1)
  return tf.sub(first, second).dataSync() as Float32Array
}

function meanLoss(logits: tf.Tensor2D, labels: number[]): number {
  const valid = labels.flatMap((label, row) => (label === -100 ? [] : [[row, label]]))
  const nll = tf.neg(tf.gatherND(tf.logSoftmax(logits), tf.tensor2d(valid, undefined, 'int32')))
  return tf.mean(nll).dataSync()[0]
}

/** Greedy ids by running the whole LayersModel again for each token: slow, but it shares nothing with the decoder. */
function uncachedGreedy(model: ShallowDeepModel, source: number[], maxNewTokens: number): number[] {
  const { decoderStartId, eosId } = model.config
  const emitted: number[] = []
  while (emitted.length < maxNewTokens && emitted.at(-1) !== eosId) {
    const next = tf.tidy(() => {
      const inputs = [tokens([source]), tokens([[decoderStartId, ...emitted]])]
      const [, deep] = model.layersModel.predict(inputs) as tf.Tensor3D[]
      return tf.argMax(tf.slice(deep, [0, emitted.length, 0], [1, 1, -1]), 2).dataSync()[0]
    })
    emitted.push(next)
  }
  return emitted
}

const CASES = [...parityCaseNames(), 'v10-old-file']

describe('the model against the reference implementation', () => {
  it('is compared on every checkpoint of the vectors', () => assert.equal(CASES.length, 11))

  onEachBackend(() => {
    for (const name of CASES) {
      describe(name, () => {
        const { model: checkpoint, batches, expected } = readParityCase(name)
        let model: ShallowDeepModel
        before(() => {
          model = buildModel(checkpoint.config, checkpoint.weights)
        })
        after(() => model.dispose())

        for (const batch of batches) {
          const reference = (tensor: string) => expected.get(`${batch.name}.${tensor}`)!.data

          it(`${batch.name}: states, logits, confidences and loss are the reference's`, () => {
            tf.tidy(() => checkBatch(model, batch, reference))
          })

          it(`${batch.name}: greedy ids are the reference's`, () => {
            batch.input_ids.forEach((row, index) => {
              const source = row.filter((_, position) => batch.attention_mask[index][position] === 1)
              assert.deepEqual(uncachedGreedy(model, source, batch.max_new_tokens), batch.greedy[index])
            })
          }).timeout(120_000)
        }
      })
    }
  })

  it('relative position buckets are exactly the reference’s', () => {
    type Case = BucketOptions & { readonly from: number; readonly to: number; readonly buckets: number[] }
    for (const { from, to, buckets, ...options } of readGoldenJson('relative-buckets.json') as Case[]) {
      const actual = Array.from({ length: to - from + 1 }, (_, i) => relativeBucket(from + i, options))
      assert.deepEqual(actual, buckets)
    }
  })
})

function checkBatch(
  model: ShallowDeepModel,
  batch: ParityBatch,
  reference: (tensor: string) => ArrayLike<number>,
) {
  const { config } = model
  const inputs = [tokens(batch.input_ids), tokens(batch.decoder_input_ids)]
  const [encoderStates, ...states] = model.statesModel.predict(inputs) as tf.Tensor3D[]
  const real = tf.tensor(batch.attention_mask)
  const onlyReal = (x: tf.Tensor) => tf.mul(x, tf.expandDims(real, 2)).dataSync()
  const wanted = tf.tensor(Array.from(reference('encoder_last')), encoderStates.shape)
  assertClose(onlyReal(encoderStates), onlyReal(wanted), 'encoder_last')

  const deepest = config.decoderLayers
  states.slice(0, -1).forEach((state, i) => {
    assertClose(state.dataSync(), reference(`decoder_hidden.${i + 1}`), `decoder_hidden.${i + 1}`)
    const logits = logitsAfter(model, state)
    assertClose(logits.dataSync(), reference(`shallow_logits.${i + 1}`), `shallow_logits.${i + 1}`)
    assertClose(confidences(logits), reference(`shallow_confidence.${i + 1}`), `shallow_confidence.${i + 1}`)
  })
  assertClose(states[deepest - 1].dataSync(), reference(`decoder_raw.${deepest}`), `decoder_raw.${deepest}`)

  const [shallow, deep] = model.layersModel.predict(inputs) as tf.Tensor3D[]
  assertClose(deep.dataSync(), reference('logits'), 'logits')
  assertClose(shallow.dataSync(), reference(`shallow_logits.${config.shallowLayers}`), 'shallow exit')
  const flat = tf.reshape(deep, [-1, config.vocabSize]) as tf.Tensor2D
  assertClose(confidences(flat), reference('deep_confidence'), 'deep_confidence')
  assert.ok(Math.abs(meanLoss(flat, batch.labels.flat()) - batch.loss) < 1e-5, 'loss')
}
