// `npm run bench -- training-step`: time of a training step at the shipped checkpoint's shape.
import { z } from 'zod'
import { defineCommand } from '../../src/cli/command.js'
import { backendShape, filePath } from '../../src/config/index.js'
import type { BackendName } from '../../src/engines/tfjs/index.js'
import { formatNumber } from '../../src/report/format.js'
import { thisMachine } from '../machine.js'
import { writeResult } from '../output.js'

const schema = z.strictObject({
  ...backendShape,
  steps: z.number().int().positive().default(5).describe('steps after the first, which warms up'),
  markdown: z.boolean().default(false).describe('the table as Markdown'),
  output: filePath.optional().describe('write the result there too, as JSON'),
})

export const createCommand = defineCommand({
  name: 'training-step',
  summary: "time of a training step at the shipped checkpoint's shape",
  schema,
  groups: {},
  examples: ['npm run bench -- training-step --backend wasm --steps 1'],
  async run({ backend, threads, steps, markdown, output: file }, { output }) {
    const [{ chooseBackend }, { measureTrainingSteps }, { quantile }] = await Promise.all([
      import('../../src/engines/tfjs/index.node.js'),
      import('./measure.js'),
      import('../../src/evaluation/index.js'),
    ])
    const chosen = await chooseBackend({ backend: backend as BackendName | undefined, threads })
    const stepMs = await measureTrainingSteps(steps)
    const row = { backend: chosen.name, threads: chosen.threads, stepMs }
    const ms = (title: string, q: number) => ({
      header: ['', title] as const,
      title,
      cell: () => formatNumber(quantile(stepMs, q)),
    })
    await writeResult(
      { machine: thisMachine(), row },
      {
        output,
        file,
        markdown,
        table: {
          rows: [row],
          columns: [
            { header: ['', 'backend'], title: 'Backend', cell: () => chosen.name },
            { header: ['', 'threads'], title: 'Threads', cell: () => String(chosen.threads) },
            ms('ms', 0.5),
            ms('least', 0),
            ms('most', 1),
          ],
        },
        remarks: ['Of a step over a batch of 128 x (9 + 9) tokens: the median, the least and the most.'],
      },
    )
  },
})
