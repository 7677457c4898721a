// `shallowdeep export`: a checkpoint for the Hugging Face ecosystem, for TensorFlow.js alone, or as ONNX graphs.
import { exportOptionsSchema } from '../../config/index.js'
import { defineCommand } from '../command.js'

export const createCommand = defineCommand({
  name: 'export',
  summary: 'write a checkpoint for other programs: Hugging Face, tfjs or ONNX',
  schema: exportOptionsSchema,
  groups: {
    'Input:': ['checkpoint'],
    'Output:': ['format', 'dtype', 'keepFloat', 'output', 'overwrite'],
  },
  examples: ['shallowdeep export --checkpoint checkpoints/translation-de-en --format tfjs --output /tmp/web'],
  async run(options, { output }) {
    const { exportCheckpoint } = await import('../../pipeline/index.node.js')
    const exported = await exportCheckpoint(options)
    if (output.isJson) return output.json(exported)
    output.line(`${exported.output}: ${exported.format}, ${exported.files.length} files`)
  },
})
