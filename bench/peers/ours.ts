// Our own engines as a worker: node --import tsx bench/peers/ours.ts. Without a policy it decodes in full.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { readCheckpointFolder } from '../../src/checkpoint/index.node.js'
import type { EngineDtype, EngineName } from '../../src/config/index.js'
import {
  decode,
  free,
  full,
  lossless,
  type DecoderEngine,
  type Policy,
  type RowResult,
} from '../../src/decoding/index.js'
import type { BackendName } from '../../src/engines/tfjs/index.js'
import { chooseBackend } from '../../src/engines/tfjs/index.node.js'
import { openEngine } from '../../src/pipeline/index.node.js'
import type {
  DecodeReply,
  DecodeRequest,
  ExitPolicy,
  LoadReply,
  LoadRequest,
  WorkerRequest,
} from './protocol.js'

type Answer<Reply> = Omit<Reply, 'id'>

let engine: DecoderEngine | undefined

async function load(request: LoadRequest): Promise<Answer<LoadReply>> {
  const { model, dtype, threads, engine: name, backend } = request
  const opened = await openEngine(await readCheckpointFolder(model), {
    engine: name as EngineName,
    backend: backend as BackendName | undefined,
    dtype: dtype as EngineDtype,
    threads,
  })
  engine = opened.engine
  const versions = {
    shallowdeep: versionOf('package.json'),
    node: process.versions.node,
    ...(name === 'onnx'
      ? { onnxruntime: versionOf('node_modules/onnxruntime-node/package.json') }
      : (await chooseBackend({ backend: backend as BackendName, threads })).versions),
  }
  return { versions, threads: opened.backend.threads }
}

async function decodeBatch({ sources, maxNewTokens, policy }: DecodeRequest): Promise<Answer<DecodeReply>> {
  if (!engine) throw new Error('nothing is loaded')
  const results: RowResult[] = []
  const start = performance.now()
  let encoded = start
  for await (const event of decode(engine, sources, { policy: policyOf(policy), maxNewTokens })) {
    if (event.type === 'encoded') encoded = performance.now()
    if (event.type === 'end') results[event.row] = event.result
  }
  const ms = performance.now() - start
  return { ms, encoderMs: encoded - start, tokens: results.map(({ tokens }) => [...tokens]) }
}

function versionOf(file: string): string {
  const url = new URL(`../../${file}`, import.meta.url)
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version
}

function policyOf(policy: ExitPolicy | undefined): Policy {
  if (!policy) return full()
  return policy.name === 'free' ? free(policy.threshold) : lossless(policy.threshold)
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...request } = JSON.parse(line) as WorkerRequest & { readonly id: number }
  const answer = await (request.op === 'load' ? load(request) : decodeBatch(request)).catch(
    (error: unknown) => ({
      error: error instanceof Error ? error.message : String(error),
    }),
  )
  process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`)
}
engine?.dispose()
