// Loading of an exported model.json from disk, where tf.loadLayersModel has no handler for files unless tfjs-node is there.
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { parseJsonObject } from '../checkpoint/index.js'

/**
 * A handler for `tf.loadLayersModel`: `await tf.loadLayersModel(fromTfjsFile('export/model.json'))`, after `registerLayers()`.
 * Loading throws the file system's errors, and `checkpoint.bad-json`.
 * @param path of model.json; the shards lie beside it
 */
export function fromTfjsFile(path: string): tf.io.IOHandler {
  return {
    async load() {
      const json = parseJsonObject(await readFile(path), path) as unknown as tf.io.ModelJSON
      return tf.io.getModelArtifactsForJSON(json, async (manifest) => {
        const shards: Uint8Array[] = []
        for (const { paths } of manifest) {
          for (const shard of paths) shards.push(await readFile(join(dirname(path), shard)))
        }
        const weights = manifest.flatMap((group) => group.weights)
        return [weights, shards.map((shard) => Uint8Array.from(shard).buffer)]
      })
    },
  }
}
