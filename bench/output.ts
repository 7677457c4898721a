// Where the result of a benchmark goes: a table or one JSON object on standard output, and JSON in a file where asked for.
import { writeFile } from 'node:fs/promises'
import type { Output } from '../src/cli/output.js'
import { markdownLines, provenance, tableLines, type BenchTable } from './benchTable.js'
import type { Machine } from './machine.js'

/** How a result is to be shown. */
export interface ResultView<Row> {
  readonly output: Output
  /** Neutral: undefined, none. */
  readonly file: string | undefined
  readonly markdown: boolean
  readonly table: BenchTable<Row>
  /** Sentences that belong to the figures. Neutral: none. */
  readonly remarks?: readonly string[]
}

/** Writes a result, which becomes JSON as it is. Rejects as writing files does. */
export async function writeResult<Row>(
  result: { readonly machine: Machine; readonly [key: string]: unknown },
  { output, file, markdown, table, remarks = [] }: ResultView<Row>,
): Promise<void> {
  if (file !== undefined) await writeFile(file, `${JSON.stringify(result, null, 2)}\n`)
  if (output.isJson) return output.json(result)
  if (!markdown) {
    const { width, hasColour: colour } = output
    for (const line of tableLines(table, { width, colour })) output.line(line)
    for (const remark of remarks) output.note(remark)
    return
  }
  // The form of the output says nothing of the figures.
  const words = process.argv.slice(2).filter((word) => word !== '--markdown' && word !== '--quiet')
  output.line(markdownLines(table))
  output.line('')
  for (const remark of [...remarks, provenance(result.machine, words)]) output.line(`- ${remark}`)
}
