// `npm run bench -- peers`: the same decoding in other programs, beside our engines.
import { writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { z } from 'zod'
import { stopChildren } from '../../scripts/native/processes.js'
import { defineCommand } from '../../src/cli/command.js'
import { filePath } from '../../src/config/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { markdownLines, provenance, tableLines, type BenchTable } from '../benchTable.js'
import { thisMachine } from '../machine.js'
import { PEERS, selectPeers } from './peers.js'
import { describePeers, peersTables } from './peersTable.js'
import { runSubject, type SubjectResult } from './run.js'
import { openSubject, SUBJECT_NAMES } from './subjects.js'

const positive = z.number().int().positive()
const names = { placeholder: 'names' }
const numbers = { placeholder: 'n,n' }

const schema = z.strictObject({
  shapes: z
    .array(z.enum(SUBJECT_NAMES))
    .min(1)
    .default([...SUBJECT_NAMES])
    .describe(`what is decoded: ${SUBJECT_NAMES.join(', ')}`)
    .meta(names),
  peers: z
    .array(z.string())
    .min(1)
    .default(PEERS.map(({ name }) => name))
    .describe('who takes part: names, or families as onnx; ratios are to those that do')
    .meta(names),
  threads: z.array(positive).min(1).default([1, 2]).describe('numbers of threads').meta(numbers),
  batchSizes: z.array(positive).min(1).default([1, 8]).describe('sequences decoded together').meta(numbers),
  rounds: positive.optional().describe('rounds, half as many of batches; default: 5, of base 3'),
  markdown: z.boolean().default(false).describe('the tables as Markdown'),
  output: filePath.optional().describe('write the result there too, as JSON'),
})

export const createCommand = defineCommand({
  name: 'peers',
  summary: 'full decoding in CTranslate2, PyTorch and transformers.js, beside our engines',
  schema,
  groups: { 'What:': ['shapes', 'peers', 'threads', 'batchSizes', 'rounds'] },
  examples: ['npm run bench -- peers --shapes translation --peers onnx,tfjs-wasm --threads 1 --rounds 1'],
  async run(options, { output, signal }) {
    const { threads, batchSizes, rounds, markdown, output: file } = options
    const peers = selectPeers(options.peers)
    // Installers and converters would go on by themselves.
    signal.addEventListener('abort', stopChildren, { once: true })
    const loadBefore = loadavg()[0]
    const log = (line: string) => output.note(line)
    const results: SubjectResult[] = []
    for (const name of options.shapes) {
      const subject = await openSubject(name, log)
      results.push(await runSubject(subject, { peers, threads, batchSizes, rounds, log, signal }))
    }
    const result = { machine: { ...thisMachine(), loadBefore }, results }
    if (file !== undefined) await writeFile(file, `${JSON.stringify(result, null, 2)}\n`)
    for (const { subject, leftOut } of results) {
      for (const [peer, reason] of Object.entries(leftOut))
        output.warn(`${subject}: ${peer} is left out: ${reason}`)
    }
    if (results.every(({ lines }) => lines.length === 0)) throw nothingMeasured(results)
    if (output.isJson) return output.json(result)
    const remarks = [...describePeers(results), `Load of the machine before: ${loadBefore.toFixed(1)}.`]
    for (const { title, table } of results.flatMap(peersTables)) {
      // One of the two kinds of rows: what shows a table does not care which.
      const shown = table as BenchTable<unknown>
      if (markdown) output.line(`### ${title}\n\n${markdownLines(shown)}\n`)
      else
        output.line(
          [title, ...tableLines(shown, { width: output.width, colour: output.hasColour }), ''].join('\n'),
        )
    }
    const words = process.argv.slice(2).filter((word) => word !== '--markdown' && word !== '--quiet')
    if (markdown) for (const text of [...remarks, provenance(result.machine, words)]) output.line(`- ${text}`)
    else for (const text of remarks) output.note(text)
  },
})

function nothingMeasured(results: readonly SubjectResult[]): ShallowDeepError {
  const reasons = results.flatMap(({ leftOut }) => Object.values(leftOut))
  return new ShallowDeepError({
    code: 'peers.nothing-measured',
    message: `no peer could be measured: ${reasons[0] ?? 'none was chosen'}`,
    details: { reasons },
    kind: 'failure',
  })
}
