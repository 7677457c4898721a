// How many bytes a second the memory delivers, by the fastest means at hand: a search through bytes that are not there (the C
// library's, which only reads), a copy, and a product of a vector with a matrix in ONNX Runtime, which is what decoding does.
import { Worker } from 'node:worker_threads'
import { parseModelConfig } from '../../src/config/index.js'
import { loadOnnxRuntime } from '../../src/engines/onnx/index.node.js'
import { exitGraph } from '../../src/onnx/index.js'
import { joinChunks } from '../../src/protobuf/index.js'

/** What was found by one means. */
export interface BandwidthRow {
  readonly method: 'search' | 'copy' | 'product'
  readonly threads: number
  /** Bytes read (a copy: read and written) per second over 1e9; the best of some attempts. */
  readonly gigabytesPerSecond: number
}

export interface BandwidthOptions {
  /** Numbers of threads to read with. */
  readonly threads: readonly number[]
  /** Of the buffer; is to be far larger than all caches. Neutral: 256. */
  readonly megabytes?: number
  /** Attempts by each means. Neutral: 5. */
  readonly attempts?: number
}

/** Measures by all means. Throws `engine.onnxruntime-missing`. */
export async function measureBandwidth(options: BandwidthOptions): Promise<BandwidthRow[]> {
  const { threads, megabytes = 256, attempts = 5 } = options
  const numBytes = megabytes * 2 ** 20
  const rows: BandwidthRow[] = []
  const add = (row: Omit<BandwidthRow, 'gigabytesPerSecond'>, bytes: number, ms: number) =>
    rows.push({ ...row, gigabytesPerSecond: bytes / ms / 1e6 })
  for (const count of threads) {
    add({ method: 'search', threads: count }, numBytes, await searchMs(numBytes, count, attempts))
  }
  add({ method: 'copy', threads: 1 }, 2 * numBytes, copyMs(numBytes, attempts))
  for (const count of threads) {
    add({ method: 'product', threads: count }, numBytes, await productMs(numBytes, count, attempts))
  }
  return rows
}

/** The best that was found with so many threads or fewer. */
export function bestBandwidth(rows: readonly BandwidthRow[], threads: number): number {
  const usable = rows.filter((row) => row.threads <= threads)
  return Math.max(...usable.map(({ gigabytesPerSecond }) => gigabytesPerSecond))
}

// Runs in workers; plain JavaScript, so that they need no loader. Buffer.indexOf of a byte is memchr.
const SEARCHER = `
const { parentPort, workerData } = require('node:worker_threads')
const bytes = Buffer.from(workerData)
parentPort.on('message', () => parentPort.postMessage(bytes.indexOf(2)))
`

async function searchMs(numBytes: number, threads: number, attempts: number): Promise<number> {
  const workers = Array.from({ length: threads }, () => {
    const bytes = new SharedArrayBuffer(numBytes / threads)
    // Pages that were never written are all the same one.
    new Uint8Array(bytes).fill(1)
    return new Worker(SEARCHER, { eval: true, workerData: bytes })
  })
  try {
    return await leastMs(attempts, () =>
      Promise.all(
        workers.map((worker) => {
          const answer = new Promise((resolve, reject) => {
            worker.once('message', resolve)
            worker.once('error', reject)
          })
          worker.postMessage(null)
          return answer
        }),
      ),
    )
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

function copyMs(numBytes: number, attempts: number): number {
  const [from, to] = [Buffer.alloc(numBytes, 1), Buffer.alloc(numBytes, 2)]
  let least = Infinity
  for (let attempt = 0; attempt < attempts; attempt++) {
    const start = performance.now()
    from.copy(to)
    least = Math.min(least, performance.now() - start)
  }
  return least
}

/** An output head as large as the buffer, at one position. */
async function productMs(numBytes: number, threads: number, attempts: number): Promise<number> {
  const dModel = 1024
  const vocabSize = numBytes / 4 / dModel
  const config = parseModelConfig(
    {
      ...{ vocabSize, dModel, numHeads: 1, dKv: 8, dFf: 8, encoderLayers: 1, decoderLayers: 2 },
      ...{ shallowLayers: 1, tieEmbeddings: false },
    },
    'bandwidth',
  )
  const weights = new Map([
    ['head', { shape: [dModel, vocabSize], data: new Float32Array(numBytes / 4).fill(1e-3) }],
    ['decoder.finalNorm', { shape: [dModel], data: new Float32Array(dModel).fill(1) }],
  ])
  const runtime = await loadOnnxRuntime()
  const session = await runtime.InferenceSession.create(joinChunks(exitGraph({ config, weights })), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  try {
    const states = new runtime.Tensor('float32', new Float32Array(dModel).fill(1), [1, dModel])
    return await leastMs(attempts, () => session.run({ states }, { best: null }))
  } finally {
    await session.release()
  }
}

/** The first attempt only warms up. */
async function leastMs(attempts: number, work: () => Promise<unknown>): Promise<number> {
  let least = Infinity
  for (let attempt = 0; attempt <= attempts; attempt++) {
    const start = performance.now()
    await work()
    if (attempt > 0) least = Math.min(least, performance.now() - start)
  }
  return least
}
