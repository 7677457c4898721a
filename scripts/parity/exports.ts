// Exports checkpoints, loads them in the reference implementation, and prints the largest logit differences:
// tsx scripts/parity/exports.ts [checkpoint folder...]. Without folders: the shipped checkpoint and all of the parity vectors.
// Needs Python once for several GB of packages (see environment.ts); not part of CI. Exits with 1 where anything differs.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chooseBackend } from '../../src/engines/tfjs/index.node.js'
import { compareWithReference, describeComparison, isSame } from './compare.js'
import { referencePython } from './environment.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

function defaultFolders(): string[] {
  const vectors = join(ROOT, 'test/golden/t5-parity')
  const cases = readdirSync(vectors, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return [join(ROOT, 'checkpoints/translation-de-en'), ...cases.map(({ name }) => join(vectors, name))]
}

const given = process.argv.slice(2)
const folders = given.length > 0 ? given : defaultFolders()
const subjects = ['float32', 'float16', 'bfloat16'].flatMap((dtype) =>
  folders.map((folder) => ({ folder, dtype })),
)
const python = await referencePython((line) => console.error(line))
const backend = await chooseBackend({})
console.log(`our side on ${backend.name}; differences are the largest over all rows, positions and logits`)
const comparisons = await compareWithReference(subjects, python)
for (const [i, subject] of subjects.entries()) console.log(describeComparison(subject, comparisons[i]))
process.exitCode = comparisons.every(isSame) ? 0 : 1
