// Batches of examples of like length: shuffled, sorted within windows, cut, and shuffled again, all from (seed, epoch).
// Which example goes where is planned first (indices only); the arrays are made as batches are taken.
import { ShallowDeepError } from '../errors.js'
import { Random } from '../random.js'

/** Label of a position from which nothing is to be learnt. */
export const IGNORED_LABEL = -100

/** One training pair as token ids, both ending with `</s>`. */
export interface EncodedExample {
  readonly source: Int32Array
  readonly target: Int32Array
}

/** Token ids of one batch on the host, row-major, padded to the longest row. */
export interface TokenBatch {
  readonly batchSize: number // B
  readonly sourceLength: number // M
  readonly targetLength: number // T
  /** [B, M], padded with the pad id. */
  readonly sources: Int32Array
  /** [B, T]: the labels shifted right behind the start token, padded with the pad id. */
  readonly decoderInputs: Int32Array
  /** [B, T], padded with {@link IGNORED_LABEL}. */
  readonly labels: Int32Array
  /** Labels that are not padding. */
  readonly numTokens: number
  /** Position of each row in the examples, [B]. */
  readonly indices: Int32Array
}

export interface PlanOptions {
  /** Rows of a batch; the one left over has fewer. */
  readonly batchSize: number
  readonly seed: number
  /** Each epoch has an order of its own. */
  readonly epoch: number
  /** Batches whose examples are sorted by length together (default 100; 1: batches are random, padding is highest). */
  readonly bucketWindow?: number
}

export interface BatchOptions extends PlanOptions {
  readonly padId: number
  /** First decoder input of each row. */
  readonly decoderStartId: number
  /** Leaves out the epoch's first batches without making them, to go on where a training stopped (default 0). */
  readonly firstBatch?: number
}

/** Which examples make up each batch of an epoch, in order. */
export interface BatchPlan {
  /** For each batch, positions in the examples. */
  readonly batches: readonly Int32Array[]
  /** Share of all source and target positions of the epoch that are padding, in [0, 1). */
  readonly paddingShare: number
}

/** How many batches an epoch has. */
export function numBatches(numExamples: number, batchSize: number): number {
  return Math.ceil(numExamples / batchSize)
}

/**
 * Plans an epoch: every example exactly once, the same for the same (seed, epoch). Throws `data.bad-batching` where
 * `batchSize` or `bucketWindow` is not a positive integer.
 */
export function planBatches(examples: readonly EncodedExample[], options: PlanOptions): BatchPlan {
  const { batchSize, seed, epoch, bucketWindow = 100 } = options
  checkPositive('batchSize', batchSize)
  checkPositive('bucketWindow', bucketWindow)
  const random = new Random(seed).fork(epoch)
  const order = random.shuffle(Array.from(examples.keys()))
  const batches: Int32Array[] = []
  let numPositions = 0
  let numTokens = 0
  const windowSize = bucketWindow * batchSize
  for (let start = 0; start < order.length; start += windowSize) {
    let window = Int32Array.from(order.slice(start, start + windowSize))
    if (bucketWindow > 1) {
      // Both sorts are stable: targets lead, sources break their ties, the shuffled order the rest.
      window = sortByLength(window, (index) => examples[index].source.length)
      window = sortByLength(window, (index) => examples[index].target.length)
    }
    for (let first = 0; first < window.length; first += batchSize) {
      const batch = window.slice(first, first + batchSize)
      const { sourceLength, targetLength, total } = measure(examples, batch)
      numPositions += batch.length * (sourceLength + targetLength)
      numTokens += total
      batches.push(batch)
    }
  }
  random.shuffle(batches)
  return { batches, paddingShare: numPositions === 0 ? 0 : 1 - numTokens / numPositions }
}

/** The batches of an epoch as {@link planBatches} orders them, each made when it is taken. */
export function* makeBatches(
  examples: readonly EncodedExample[],
  options: BatchOptions,
): Generator<TokenBatch, void, undefined> {
  const { batches } = planBatches(examples, options)
  for (const indices of batches.slice(options.firstBatch ?? 0)) yield fillBatch(examples, indices, options)
}

/** One batch of the examples at `indices`, in that order; each target has at least its `</s>`. */
export function fillBatch(
  examples: readonly EncodedExample[],
  indices: Int32Array,
  options: { readonly padId: number; readonly decoderStartId: number },
): TokenBatch {
  const { padId, decoderStartId } = options
  const batchSize = indices.length
  const { sourceLength, targetLength } = measure(examples, indices)
  const sources = new Int32Array(batchSize * sourceLength).fill(padId) // [B, M]
  const decoderInputs = new Int32Array(batchSize * targetLength).fill(padId) // [B, T]
  const labels = new Int32Array(batchSize * targetLength).fill(IGNORED_LABEL) // [B, T]
  let numTokens = 0
  indices.forEach((index, row) => {
    const { source, target } = examples[index]
    sources.set(source, row * sourceLength)
    labels.set(target, row * targetLength)
    decoderInputs[row * targetLength] = decoderStartId
    // Shifting drops the row's last position: `</s>` in the longest rows, padding in the others.
    decoderInputs.set(target.subarray(0, targetLength - 1), row * targetLength + 1)
    numTokens += target.length
  })
  return { batchSize, sourceLength, targetLength, sources, decoderInputs, labels, numTokens, indices }
}

/** A stable counting sort: lengths are small integers, so this takes linear time. */
function sortByLength(indices: Int32Array, lengthOf: (index: number) => number): Int32Array<ArrayBuffer> {
  const lengths = indices.map(lengthOf)
  const starts: number[] = new Array(lengths.reduce((a, b) => Math.max(a, b), 0) + 2).fill(0)
  for (const length of lengths) starts[length + 1]++
  for (let length = 1; length < starts.length; length++) starts[length] += starts[length - 1]
  const sorted = new Int32Array(indices.length)
  indices.forEach((index, i) => {
    sorted[starts[lengths[i]]++] = index
  })
  return sorted
}

/**
 * A batch in parts of whole rows with at most `maxTokens` source and target positions each, padding included (a part has
 * at least one row). The parts keep the batch's lengths and share its memory.
 */
export function splitBatch(batch: TokenBatch, maxTokens: number): TokenBatch[] {
  const { batchSize, sourceLength, targetLength } = batch
  const numParts = Math.ceil(batchSize / Math.max(1, Math.floor(maxTokens / (sourceLength + targetLength))))
  if (numParts === 1) return [batch]
  const rowsPerPart = Math.ceil(batchSize / numParts)
  return Array.from({ length: Math.ceil(batchSize / rowsPerPart) }, (_, part): TokenBatch => {
    const [from, to] = [part * rowsPerPart, Math.min(batchSize, (part + 1) * rowsPerPart)]
    const labels = batch.labels.subarray(from * targetLength, to * targetLength)
    return {
      batchSize: to - from,
      sourceLength,
      targetLength,
      sources: batch.sources.subarray(from * sourceLength, to * sourceLength),
      decoderInputs: batch.decoderInputs.subarray(from * targetLength, to * targetLength),
      labels,
      numTokens: labels.reduce((count, label) => count + (label === IGNORED_LABEL ? 0 : 1), 0),
      indices: batch.indices.subarray(from, to),
    }
  })
}

/** Longest source and target of a batch, and all their tokens together. */
function measure(examples: readonly EncodedExample[], batch: Int32Array) {
  let sourceLength = 0
  let targetLength = 0
  let total = 0
  for (const index of batch) {
    const { source, target } = examples[index]
    sourceLength = Math.max(sourceLength, source.length)
    targetLength = Math.max(targetLength, target.length)
    total += source.length + target.length
  }
  return { sourceLength, targetLength, total }
}

function checkPositive(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1) return
  throw new ShallowDeepError({
    code: 'data.bad-batching',
    message: `${name} must be a whole number of at least 1; got ${value}`,
    details: { name, value },
  })
}
