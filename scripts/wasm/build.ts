// Writes src/engines/tfjs/wasm/modules.ts from the kernels' text. tsx scripts/wasm/build.ts
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { kernelModules } from './kernels.js'

const modules = Object.entries(await kernelModules()).map(([name, bytes]) => {
  const lines = Buffer.from(bytes)
    .toString('base64')
    .match(/.{1,100}/g)!
  console.log(`${name}: ${bytes.length} bytes`)
  return `export const ${name} =\n  ${lines.map((line) => `'${line}'`).join(' +\n  ')}\n`
})
const file = fileURLToPath(new URL('../../src/engines/tfjs/wasm/modules.ts', import.meta.url))
const head =
  '// Written by scripts/wasm/build.ts from scripts/wasm/kernels.ts, which says what they do; in base64.\n'
writeFileSync(file, head + modules.join('\n'))
console.log(file)
