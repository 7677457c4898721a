// Draws the README's picture: one sentence decoded by the shipped checkpoint, in a light and a dark version.
// tsx scripts/readmePicture.ts [sentence]
import { writeFileSync } from 'node:fs'
import { evaluate } from '../src/evaluation/index.js'
import { free } from '../src/decoding/index.js'
import { metricByName } from '../src/metrics/index.js'
import { openCheckpoint } from '../src/pipeline/index.node.js'
import { readmePicture } from '../src/report/index.js'

const sentence = process.argv[2] ?? 'Ich glaube, dass meine Schwester morgen mit dem Zug nach Berlin fährt.'
const model = await openCheckpoint('checkpoints/translation-de-en', { backend: 'wasm' })
const { outputs } = await evaluate({
  engine: model.engine,
  examples: [{ source: model.tokenizer.encode(sentence), sourceText: sentence, references: [sentence] }],
  metrics: [metricByName('bleu')],
  toText: (tokens) => model.tokenizer.decode(tokens),
  createPolicy: () => free(0.5),
  baseline: false,
  numOutputs: 1,
})
const { light, dark } = readmePicture(outputs![0])
writeFileSync('docs/images/decoding-light.svg', light)
writeFileSync('docs/images/decoding-dark.svg', dark)
console.log(outputs![0].text)
model.dispose()
