// `shallowdeep tokenizer train`: a vocabulary from the columns of a data file, written as tokenizer.json.
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Command } from 'commander'
import { z } from 'zod'
import { columnsShape, dataPath, filePath } from '../../config/index.js'
import type { ExampleStream } from '../../data/index.node.js'
import { ShallowDeepError } from '../../errors.js'
import { defineCommand, type Environment } from '../command.js'

const schema = z.strictObject({
  data: dataPath,
  ...columnsShape,
  sourcesOnly: z.boolean().default(false).describe('read the source column alone'),
  model: z.enum(['unigram', 'bpe']).default('unigram').describe('kind of vocabulary'),
  vocabSize: z
    .number()
    .int()
    .min(4)
    .default(4000)
    .describe('size of the vocabulary, <pad>, </s> and <unk> included'),
  characterCoverage: z
    .number()
    .positive()
    .max(1)
    .default(0.9995)
    .describe('share of all characters that must be in the vocabulary; rarer ones become <unk>'),
  output: filePath.describe('where tokenizer.json goes'),
  overwrite: z.boolean().default(false).describe('replace the output file if it is there'),
})

const trainCommand = defineCommand({
  name: 'train',
  summary: 'train a tokenizer on the columns of a data file',
  schema,
  groups: {
    'Data:': ['data', ...Object.keys(columnsShape), 'sourcesOnly'],
    'Vocabulary:': ['model', 'vocabSize', 'characterCoverage'],
    'Output:': ['output', 'overwrite'],
  },
  examples: [
    'shallowdeep tokenizer train --data datasets/translation_de_en/test.csv \\',
    '  --target-column targets --json-references --vocab-size 300 --output /tmp/tokenizer.json',
  ],
  async run(options, { output, signal }) {
    const { model, vocabSize, characterCoverage, sourcesOnly } = options
    if (existsSync(options.output) && !options.overwrite) throw outputExists(options.output)
    const [{ readExamples }, { trainTokenizer }, { replaceFile }] = await Promise.all([
      import('../../data/index.node.js'),
      import('../../tokenizer/index.js'),
      import('../../checkpoint/index.node.js'),
    ])
    const examples = readExamples(options.data, { ...options, hasTarget: !sourcesOnly })
    const json = await trainTokenizer(textsOf(examples, signal), { model, vocabSize, characterCoverage })
    signal.throwIfAborted()
    await mkdir(dirname(options.output), { recursive: true })
    await replaceFile(options.output, `${JSON.stringify(json)}\n`)
    const { rows, numSkipped } = examples.report
    if (numSkipped > 0) output.warn(`${numSkipped} rows of ${options.data} could not be used`)
    const result = { tokenizer: options.output, model, vocabSize, rows, skippedRows: numSkipped }
    if (output.isJson) output.json(result)
    else output.line(`${options.output}: ${model} vocabulary of ${vocabSize} from ${rows} rows`)
  },
})

/** Makes `tokenizer` with its one subcommand. */
export function createCommand(environment: Environment): Command {
  const summary = 'train a tokenizer on the columns of a data file'
  return new Command('tokenizer')
    .summary(summary)
    .description(`${summary}.`)
    .addCommand(trainCommand(environment))
}

async function* textsOf(examples: ExampleStream, signal: AbortSignal): AsyncGenerator<string> {
  for await (const { source, targets } of examples) {
    signal.throwIfAborted()
    yield source
    yield* targets
  }
}

function outputExists(path: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'cli.output-exists',
    message: `--output: ${path} is there already`,
    hint: 'add --overwrite to replace it, or name another file',
    details: { path },
  })
}
