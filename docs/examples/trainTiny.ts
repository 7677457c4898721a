// Trains a very small model on the sample set, with nothing but the library: tokenizer, batches, joint loss, greedy output.
import {
  decodeAll,
  encodeExamples,
  full,
  openTokenizer,
  parseModelConfig,
  trainingConfigSchema,
  trainTokenizer,
} from 'shallowdeep'
import { chooseBackend, readAllExamples } from 'shallowdeep/node'
import { buildModel, createTfjsEngine, initialWeights, train } from 'shallowdeep/tfjs'

await chooseBackend({ backend: 'wasm' })
const { examples } = await readAllExamples('datasets/translation_de_en/test.csv', {
  targetColumn: 'target_1,target_2',
})
const texts = examples.flatMap(({ source, targets }) => [source, ...targets])
const tokenizer = openTokenizer(
  await trainTokenizer(texts, { model: 'unigram', vocabSize: 300 }),
  'trained here',
)
const training = trainingConfigSchema.parse({ steps: 40, batchSize: 16, warmupSteps: 10, seed: 1 })
const encoded = await encodeExamples(examples, { tokenizer, ...training })

const config = parseModelConfig(
  {
    vocabSize: tokenizer.vocabSize,
    dModel: 32,
    numHeads: 2,
    dKv: 16,
    dFf: 64,
    encoderLayers: 2,
    decoderLayers: 4,
    shallowLayers: 1,
  },
  'this example',
)
const model = buildModel(config, initialWeights(config, training.seed))
model.layersModel.summary()
for await (const event of train({
  model,
  examples: encoded.examples,
  config: training,
  save: async () => undefined,
})) {
  if (event.type !== 'step' || event.step % 10 !== 0) continue
  console.log(
    `step ${event.step}: shallow ${event.shallowLoss.toFixed(2)}, deep ${event.deepLoss.toFixed(2)}`,
  )
}

const engine = createTfjsEngine({ config, weights: await model.readWeights() })
const [result] = await decodeAll(engine, [tokenizer.encode(examples[0].source)], {
  policy: full(),
  maxNewTokens: 12,
})
console.log(`${examples[0].source} -> ${tokenizer.decode([...result.tokens])}`)
engine.dispose()
model.dispose()
