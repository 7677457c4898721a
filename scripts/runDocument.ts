// Runs the shell blocks of a Markdown page in order, as its reader would, and stops at the first that fails: what the
// documentation says is what is tested. Usage: tsx scripts/runDocument.ts PAGE...
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The contents of a page's ```sh blocks, each with the line it starts at. */
function shellBlocks(markdown: string): { readonly line: number; readonly text: string }[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(({ index, 1: text }) => ({
    line: markdown.slice(0, index).split('\n').length + 1,
    text,
  }))
}

for (const page of process.argv.slice(2)) {
  const blocks = shellBlocks(readFileSync(page, 'utf8'))
  if (blocks.length === 0) throw new Error(`${page}: expected shell blocks, found none`)
  for (const { line, text } of blocks) {
    console.log(`${page}:${line}\n${text.trimEnd()}`)
    const started = performance.now()
    const { status } = spawnSync('bash', ['-euo', 'pipefail', '-c', text], { stdio: 'inherit' })
    if (status !== 0) {
      console.error(`${page}:${line}: a command failed`)
      process.exit(1)
    }
    console.log(`-- ${((performance.now() - started) / 1000).toFixed(0)} s`)
  }
}
