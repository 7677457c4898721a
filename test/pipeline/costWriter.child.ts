// Writes files of costs again and again, for tests that kill it or run two at once. Arguments: folder, number of writes.
import { rmSync } from 'node:fs'
import { costsFile, keepCosts } from '../../src/pipeline/costCache.node.js'
import { KEY, sampleCosts } from './sampleCosts.js'

const [folder, numWrites] = process.argv.slice(2)
for (let n = 0; n < Number(numWrites); n++) {
  rmSync(costsFile(folder, KEY), { force: true })
  await keepCosts(KEY, {
    folder,
    measure: async () => sampleCosts(n),
    onWarning: (text) => console.error(text),
  })
  console.log(n)
}
