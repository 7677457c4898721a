// Results instead of events: one source, or many in batches.
import { ShallowDeepError } from '../errors.js'
import { decode } from './decode.js'
import type { DecodeOptions } from './decode.js'
import type { DecoderEngine } from './engine.js'
import type { RowResult } from './events.js'

/** How to decode many sources. */
export interface DecodeAllOptions extends DecodeOptions {
  /** Sequences decoded together; default 1. */
  readonly batchSize?: number
  /** Called with each result, in the order of the sources, when its batch has ended. */
  readonly onResult?: (result: RowResult, index: number) => void
}

/** Decodes one source to its end. Throws as {@link decode} does. */
export async function decodeOne(
  engine: DecoderEngine,
  source: ArrayLike<number>,
  options: DecodeOptions,
): Promise<RowResult> {
  const [result] = await collect(engine, [source], options)
  return result
}

/**
 * Decodes sources batch by batch and returns their results in order. A calibrator adapts from batch to batch.
 * `thresholds`, where given, has one for each source; `createTextStream` is given the index of the source.
 * Throws as {@link decode} does, and `config.invalid-value` for a batch size that is none.
 */
export async function decodeAll(
  engine: DecoderEngine,
  sources: readonly ArrayLike<number>[],
  options: DecodeAllOptions,
): Promise<RowResult[]> {
  const { batchSize = 1, onResult, thresholds, createTextStream, firstOrdinal = 0, ...rest } = options
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new ShallowDeepError({
      code: 'config.invalid-value',
      message: `batchSize: expected a whole number from 1 up, got ${batchSize}`,
      details: { batchSize },
    })
  }
  const results: RowResult[] = []
  for (let start = 0; start < sources.length; start += batchSize) {
    const batch = sources.slice(start, start + batchSize)
    const batchResults = await collect(engine, batch, {
      ...rest,
      firstOrdinal: firstOrdinal + start,
      thresholds: thresholds?.slice(start, start + batchSize),
      createTextStream: createTextStream && ((row) => createTextStream(start + row)),
    })
    for (const result of batchResults) {
      results.push(result)
      onResult?.(result, results.length - 1)
    }
  }
  return results
}

async function collect(
  engine: DecoderEngine,
  sources: readonly ArrayLike<number>[],
  options: DecodeOptions,
): Promise<RowResult[]> {
  const results: RowResult[] = []
  for await (const event of decode(engine, sources, options)) {
    if (event.type === 'end') results[event.row] = event.result
  }
  return results
}
