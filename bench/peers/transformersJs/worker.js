// transformers.js as a worker (protocol.ts): node worker.js. The model's folder is laid out as for its hub, with onnx/ inside.
import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { AutoModelForSeq2SeqLM, env, Tensor } from '@huggingface/transformers'

// Libraries print as they like: standard output is for answers alone.
const answer = process.stdout.write.bind(process.stdout)
console.log = console.info = console.warn = console.error

let model
let encoderMs = 0

async function load({ model: folder, dtype, threads }) {
  env.allowRemoteModels = false
  env.localModelPath = dirname(folder)
  model = await AutoModelForSeq2SeqLM.from_pretrained(basename(folder), {
    dtype,
    device: 'cpu',
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  })
  const encoder = model.sessions.model
  const run = encoder.run.bind(encoder)
  encoder.run = async (...inputs) => {
    const start = performance.now()
    const outputs = await run(...inputs)
    encoderMs += performance.now() - start
    return outputs
  }
  const versions = {
    'transformers.js': env.version,
    onnxruntime: versionOf('onnxruntime-node'),
    node: process.versions.node,
  }
  return { versions, threads }
}

function versionOf(name) {
  return JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url), 'utf8'))
    .version
}

async function decode({ sources, maxNewTokens }) {
  const { pad_token_id: pad, eos_token_id: eos } = model.config
  encoderMs = 0
  const start = performance.now()
  const width = Math.max(...sources.map((row) => row.length))
  const toTensor = (valueAt) => {
    const values = sources.flatMap((row) => Array.from({ length: width }, (_, i) => BigInt(valueAt(row, i))))
    return new Tensor('int64', BigInt64Array.from(values), [sources.length, width])
  }
  const output = await model.generate({
    inputs: toTensor((row, i) => row[i] ?? pad),
    attention_mask: toTensor((row, i) => Number(i < row.length)),
    max_new_tokens: maxNewTokens,
    do_sample: false,
    num_beams: 1,
  })
  const rows = output.tolist().map((row) => row.slice(1).map(Number))
  const ms = performance.now() - start
  return { ms, encoderMs, tokens: rows.map((row) => untilEnd(row, eos)) }
}

/** A row's tokens up to and with the first end of sequence. */
function untilEnd(row, eos) {
  const end = row.indexOf(eos)
  return end < 0 ? row : row.slice(0, end + 1)
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...request } = JSON.parse(line)
  const reply = await (op === 'load' ? load(request) : decode(request)).catch((error) => ({
    error: String(error.message ?? error).replace(/\s+/g, ' '),
  }))
  answer(`${JSON.stringify({ id, ...reply })}\n`)
}
