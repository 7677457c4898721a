// Writes src/model/wasm/module.ts from the kernel's text. tsx scripts/wasm/build.ts
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { kernelsModule } from './kernels.js'

const bytes = await kernelsModule()
const lines = Buffer.from(bytes)
  .toString('base64')
  .match(/.{1,100}/g)!
const source = `// Written by scripts/wasm/build.ts from scripts/wasm/kernels.ts, which says what it does.
export const MODULE =
  ${lines.map((line) => `'${line}'`).join(' +\n  ')}
`
const file = fileURLToPath(new URL('../../src/model/wasm/module.ts', import.meta.url))
writeFileSync(file, source)
console.log(`${bytes.length} bytes: ${file}`)
