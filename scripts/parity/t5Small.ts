// A checkpoint of T5-small's real size (60 M parameters, vocabulary 32,128, random weights), in the layout of the published
// one: imports it in a process of its own, reports time and peak memory, and the largest logit difference to the reference
// implementation. tsx scripts/parity/t5Small.ts [folder to keep the checkpoint in]; Python as for exports.ts.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  encodeSafetensors,
  joinBytes,
  planHuggingFaceTensors,
  toJsonText,
} from '../../src/checkpoint/index.js'
import { importOptionsSchema, parseModelConfig, type ModelConfig } from '../../src/config/index.js'
import { chooseBackend } from '../../src/engines/tfjs/index.node.js'
import { initialWeights } from '../../src/model/index.js'
import { importCheckpoint } from '../../src/pipeline/index.node.js'
import { compareWithReference, describeComparison, isSame } from './compare.js'
import { referencePython } from './environment.js'
import { peakMemoryBytes } from './peakMemory.js'

const SHAPE = {
  vocabSize: 32_128,
  dModel: 512,
  numHeads: 8,
  dKv: 64,
  dFf: 2048,
  encoderLayers: 6,
  decoderLayers: 6,
  shallowLayers: 3,
}

/** The keys of google-t5/t5-small's config.json that say what the model is: the layout of transformers 4, without ours. */
function publishedConfig(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ['T5ForConditionalGeneration'],
    d_ff: config.dFf,
    d_kv: config.dKv,
    d_model: config.dModel,
    decoder_start_token_id: 0,
    dropout_rate: 0.1,
    eos_token_id: 1,
    initializer_factor: 1.0,
    is_encoder_decoder: true,
    layer_norm_epsilon: 1e-6,
    model_type: 't5',
    num_heads: config.numHeads,
    num_layers: config.encoderLayers,
    pad_token_id: 0,
    relative_attention_num_buckets: 32,
    vocab_size: config.vocabSize,
  }
}

function makeCheckpoint(folder: string): void {
  const config = parseModelConfig(SHAPE, 'T5-small')
  const { tensors } = planHuggingFaceTensors({ config, weights: initialWeights(config, 60) })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'config.json'), toJsonText(publishedConfig(config)))
  const weights = joinBytes(encodeSafetensors(tensors, { metadata: { format: 'pt' } }))
  writeFileSync(join(folder, 'model.safetensors'), weights)
}

/** What an import in a process of its own took. */
interface ImportCost {
  readonly numParameters: number
  readonly seconds: number
  /** Peak resident memory before the import began, and at its end. */
  readonly beforeBytes: number
  readonly peakBytes: number
}

async function importHere(source: string, output: string): Promise<ImportCost> {
  const beforeBytes = peakMemoryBytes()
  const start = performance.now()
  const { numParameters } = await importCheckpoint(
    source,
    importOptionsSchema.parse({ output, overwrite: true }),
  )
  return {
    numParameters,
    seconds: (performance.now() - start) / 1000,
    beforeBytes,
    peakBytes: peakMemoryBytes(),
  }
}

async function importInChild(source: string, output: string): Promise<ImportCost> {
  const words = ['--import', 'tsx', fileURLToPath(import.meta.url), '--import-only', source, output]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk as string
  return JSON.parse(text) as ImportCost
}

async function main(kept: string | undefined): Promise<void> {
  const work = kept ?? mkdtempSync(join(tmpdir(), 'shallowdeep-t5-small-'))
  try {
    const [source, output] = [join(work, 'published'), join(work, 'imported')]
    makeCheckpoint(source)
    const cost = await importInChild(source, output)
    const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
    const file = statSync(join(source, 'model.safetensors')).size
    console.log(
      `${(cost.numParameters / 1e6).toFixed(1)} M parameters, file ${megabytes(file)}: imported in ` +
        `${cost.seconds.toFixed(1)} s, peak memory ${megabytes(cost.peakBytes)} (${megabytes(cost.beforeBytes)} before)`,
    )
    const python = await referencePython((line) => console.error(line))
    const backend = await chooseBackend({})
    const subject = { folder: output, dtype: 'float32' }
    const [comparison] = await compareWithReference([subject], python)
    console.log(`${describeComparison(subject, comparison)}, our side on ${backend.name}`)
    process.exitCode = isSame(comparison) ? 0 : 1
  } finally {
    if (kept === undefined) rmSync(work, { recursive: true, force: true })
  }
}

const [first, ...rest] = process.argv.slice(2)
if (first === '--import-only') process.stdout.write(JSON.stringify(await importHere(rest[0], rest[1])))
else await main(first)
