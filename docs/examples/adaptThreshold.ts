// Lets the Beta mixture find the threshold while it translates the sample set.
import { betaMixture, decodeAll, free } from 'shallowdeep'
import { openCheckpoint, readAllExamples } from 'shallowdeep/node'

const model = await openCheckpoint('checkpoints/translation-de-en', { backend: 'wasm' })
const { examples } = await readAllExamples('datasets/translation_de_en/test.csv', {
  targetColumn: 'target_1,target_2',
  limit: 24,
})
const calibrator = betaMixture()
await decodeAll(
  model.engine,
  examples.map(({ source }) => model.tokenizer.encode(source)),
  {
    policy: free(calibrator),
    maxNewTokens: 64,
    onResult: (result, index) => {
      const shallow = result.exits.filter((exit) => exit === 'shallow').length
      console.log(
        `${index + 1}: threshold ${result.threshold?.toFixed(3)}, ${shallow} of ${result.tokens.length} tokens shallow`,
      )
    },
  },
)
const { code, message } = calibrator.diagnostics
console.log(`${code}: ${message}`)
model.dispose()
