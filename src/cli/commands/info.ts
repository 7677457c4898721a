// `shallowdeep info`: what there is to compute with, what was chosen and why.
import { createRequire } from 'node:module'
import { z } from 'zod'
import { backendShape } from '../../config/index.js'
import type { BackendName, ChosenBackend } from '../../engines/tfjs/index.js'
import type { OnnxRuntimeReport } from '../../engines/onnx/index.node.js'
import type { BackendReport } from '../../engines/tfjs/index.node.js'
import { defineCommand } from '../command.js'

export const createCommand = defineCommand({
  name: 'info',
  summary: 'versions, the backends found, the one chosen and why',
  schema: z.strictObject(backendShape),
  groups: {},
  examples: ['shallowdeep info', 'shallowdeep info --json --backend wasm'],
  async run({ backend, threads }, { output }) {
    const [{ describeBackends }, { describeOnnxRuntime }] = await Promise.all([
      import('../../engines/tfjs/index.node.js'),
      import('../../engines/onnx/index.node.js'),
    ])
    const backends = await describeBackends({ backend: backend as BackendName, threads })
    const report = { ...backends, onnxruntime: await describeOnnxRuntime() }
    const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }
    const versions = { shallowdeep: version, ...report.versions }
    if (output.isJson) output.json({ ...report, versions })
    else output.line(describe({ ...report, versions }))
  },
})

function describeChoice({ name, threads, reason }: ChosenBackend): string {
  return `${name}, ${threads} ${threads === 1 ? 'thread' : 'threads'} (${reason})`
}

function describe(report: BackendReport & { readonly onnxruntime: OnnxRuntimeReport }): string {
  const { versions, backends, chosen, decoding, onnxruntime } = report
  const width = Math.max(...backends.map(({ name }) => name.length))
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return [
    list.join(', '),
    '',
    ...backends.map(({ name, isPresent, detail }) => {
      const mark = [chosen.name, decoding.name].includes(name) ? '*' : isPresent ? '+' : '-'
      return `${mark} ${name.padEnd(width)}  ${detail}`
    }),
    '',
    `ONNX Runtime: ${onnxruntime.detail}`,
    ...(chosen.name === decoding.name
      ? [`chosen: ${describeChoice(chosen)}`]
      : [`to train: ${describeChoice(chosen)}`, `to decode: ${describeChoice(decoding)}`]),
  ].join('\n')
}
