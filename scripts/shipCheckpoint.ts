// Stores the best checkpoint of a training run (or any checkpoint folder) in float16 as one that ships, with its model
// card: tsx scripts/shipCheckpoint.ts <run or checkpoint> <folder> <model card>. Weights are read back as float32.
import { readFileSync } from 'node:fs'
import { readCheckpointFolder, writeCheckpointFolder } from '../src/checkpoint/index.node.js'
import { findCheckpoint } from '../src/pipeline/index.node.js'

const [from, to, card] = process.argv.slice(2)
if (from === undefined || to === undefined || card === undefined) {
  console.error('usage: tsx scripts/shipCheckpoint.ts <run or checkpoint> <folder> <model card>')
  process.exit(2)
}
const checkpoint = await readCheckpointFolder(await findCheckpoint(from))
const modelCard = readFileSync(card, 'utf8')
await writeCheckpointFolder(to, { ...checkpoint, modelCard }, { dtype: 'float16', overwrite: true })
console.log(
  `${to}: ${[...checkpoint.weights.values()].reduce((sum, { data }) => sum + data.length, 0)} parameters`,
)
