// Stores the best checkpoint of a training run (or any checkpoint folder) in float16 as one that ships, with its model
// card: tsx scripts/shipCheckpoint.ts <run or checkpoint> <folder under checkpoints/>. Weights are read back as float32.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readCheckpointFolder, writeCheckpointFolder } from '../src/checkpoint/index.node.js'
import { findCheckpoint } from '../src/openCheckpoint.node.js'

const [from, to] = process.argv.slice(2)
if (from === undefined || to === undefined) {
  console.error('usage: tsx scripts/shipCheckpoint.ts <run or checkpoint> <folder>')
  process.exit(2)
}
const checkpoint = await readCheckpointFolder(await findCheckpoint(from))
const modelCard = readFileSync(join(to, 'README.md'), 'utf8')
await writeCheckpointFolder(to, { ...checkpoint, modelCard }, { dtype: 'float16', overwrite: true })
console.log(`${to}: ${[...checkpoint.weights.values()].reduce((sum, { data }) => sum + data.length, 0)} parameters`)
