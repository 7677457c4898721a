// Threads under Node for products on tfjs's wasm backend: its module with a memory that they share, and how one is started.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { withSharedMemory } from './sharedMemory.js'
import type { ThreadTask } from './threads.js'

const WITH_SIMD = 'tfjs-backend-wasm-simd.wasm'
const OTHERS = ['tfjs-backend-wasm.wasm', 'tfjs-backend-wasm-threaded-simd.wasm']

/** What a thread runs: the modules on the memory, then jobs until the process ends. */
const TASK = `
const { memory, modules, job, patience } = require('node:worker_threads').workerData
const imports = { tfjs: { memory } }
for (const [name, bytes] of Object.entries(modules))
  imports[name] = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports
imports.threads.serve(job, patience)`

/** URLs for `setWasmPaths`, to be read through the platform's fetch: tfjs's modules, that with SIMD on a shared memory. */
export async function sharedWasmUrls(): Promise<Record<string, string>> {
  const folder = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))
  const urlOf = async (name: string, change: (module: Uint8Array) => Uint8Array) => {
    const module = change(await readFile(join(folder, name)))
    return [name, `data:application/wasm;base64,${Buffer.from(module).toString('base64')}`]
  }
  const urls = [urlOf(WITH_SIMD, withSharedMemory), ...OTHERS.map((name) => urlOf(name, (module) => module))]
  return Object.fromEntries(await Promise.all(urls)) as Record<string, string>
}

/** Starts a thread, which neither keeps the process alive nor inherits what the process was started with. */
export function startThread(task: ThreadTask): void {
  const worker = new Worker(TASK, {
    eval: true,
    workerData: task,
    execArgv: [],
    name: 'shallowdeep products',
  })
  worker.unref()
  // Where one cannot run, whoever told a job does it alone.
  worker.on('error', () => {})
}
