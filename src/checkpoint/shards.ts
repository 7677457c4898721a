// The index of weights that are split over several files: model.safetensors.index.json, as save_pretrained writes it. Which
// tensor is in which file must be true of the files, or the weights of two models might be mixed.
import { z } from 'zod'
import { parseConfig } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import type { JsonObject } from './json.js'
import { quoteName } from './tensor.js'

/** Name of the index file. */
export const SHARD_INDEX_FILE = 'model.safetensors.index.json'

/** A size that no sensible index exceeds. */
export const MAX_INDEX_BYTES = 64e6

/** A plain name: an index must not lead out of its folder. */
const shardName = z
  .string()
  .regex(/^[^/\\\0]+\.safetensors$/, 'expected a file name that ends in .safetensors')
const shardIndexSchema = z.looseObject({ weight_map: z.record(z.string(), shardName) })

/** An index: the file of each tensor, and the files in order. */
export interface ShardIndex {
  readonly fileOf: ReadonlyMap<string, string>
  readonly files: readonly string[]
}

/** Checks a parsed index. Throws `config.invalid-value`. */
export function parseShardIndex(json: JsonObject, source: string): ShardIndex {
  const { weight_map: map } = parseConfig(shardIndexSchema, json, source)
  return { fileOf: new Map(Object.entries(map)), files: [...new Set(Object.values(map))].sort() }
}

/**
 * Holds what the shards hold against their index: each tensor is in the file that the index names, and none is anywhere
 * else. Throws `checkpoint.bad-index`.
 */
export function checkShards(
  { fileOf }: ShardIndex,
  tensorsOf: ReadonlyMap<string, Iterable<string>>,
  source: string,
): void {
  const missing = new Set(fileOf.keys())
  for (const [file, names] of tensorsOf) {
    for (const name of names) {
      const named = fileOf.get(name)
      if (named !== file) {
        const told = named === undefined ? 'nowhere' : `in ${quoteName(named)}`
        throw badIndex(source, `tensor ${quoteName(name)} is in ${quoteName(file)}, by the index ${told}`)
      }
      missing.delete(name)
    }
  }
  for (const name of missing) {
    throw badIndex(source, `tensor ${quoteName(name)} is not in ${quoteName(fileOf.get(name) ?? '')}`)
  }
}

function badIndex(source: string, what: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.bad-index',
    message: `${source}: ${what}`,
    hint: 'the index and the shards belong to different models, or a shard is damaged: copy or download them again',
    details: { source },
  })
}
