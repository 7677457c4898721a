// `npm run bench -- performance`: measures all tables of a document anew, each by the command that stands beside it, in a
// process of its own, so that none finds the memory of another.
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { z } from 'zod'
import { defineCommand } from '../../src/cli/command.js'
import { filePath } from '../../src/config/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { findTables, replaceTable, type MarkedTable } from './document.js'

const NAME = 'performance'

const schema = z.strictObject({
  document: filePath.default('docs/performance.md').describe('the document whose tables are measured'),
  only: z
    .string()
    .optional()
    .describe('only tables whose command contains this text')
    .meta({ placeholder: 'text' }),
})

export const createCommand = defineCommand({
  name: NAME,
  summary: 'measure all tables of docs/performance.md anew',
  schema,
  groups: {},
  examples: ['npm run bench -- performance --only bandwidth'],
  async run({ document, only }, { output, signal }) {
    const numTables = tablesOf(await readFile(document, 'utf8'), document).length
    let numMeasured = 0
    for (let index = 0; index < numTables; index++) {
      // Read anew each time: what was written about the table meanwhile stays.
      const words = tablesOf(await readFile(document, 'utf8'), document)[index].words
      if (only !== undefined && !words.join(' ').includes(only)) continue
      output.note(`${index + 1}/${numTables} ${words.join(' ')}`)
      const body = await runBench(words, signal)
      const text = await readFile(document, 'utf8')
      const written = replaceTable(text, tablesOf(text, document)[index], body)
      const style = await resolveConfig(document)
      await writeFile(document, await format(written, { ...style, parser: 'markdown' }))
      numMeasured++
    }
    if (output.isJson) output.json({ document, tables: numMeasured })
    else output.line(`${numMeasured} of ${numTables} tables of ${document} measured`)
  },
})

function tablesOf(text: string, document: string): MarkedTable[] {
  const tables = findTables(text, document)
  const own = tables.find(({ words }) => words[0] === NAME)
  if (!own) return tables
  throw new ShallowDeepError({
    code: 'bench.bad-marker',
    message: `${document}, line ${own.start}: a table cannot be made by ${NAME}, which makes all of them`,
  })
}

/** What a command of this program prints as Markdown. Throws `bench.command-failed`. */
async function runBench(words: readonly string[], signal: AbortSignal): Promise<string> {
  const program = [...process.execArgv, process.argv[1], ...words, '--markdown', '--quiet']
  const child = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'pipe'] })
  const stop = () => child.kill('SIGINT')
  signal.addEventListener('abort', stop)
  try {
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    signal.throwIfAborted()
    if (code === 0) return stdout
    throw new ShallowDeepError({
      code: 'bench.command-failed',
      message: `${words.join(' ')} ended with exit code ${code}: ${stderr.trim().split('\n')[0]}`,
      kind: 'failure',
    })
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
