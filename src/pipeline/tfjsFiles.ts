// A model in TensorFlow.js's own format: model.json with the layers' graph, and its weights in shards that browsers cache.
// tf.loadLayersModel rebuilds it once the layers are registered (registerLayers).
import * as tf from '@tensorflow/tfjs'
import { narrowToFloat16, toJsonText, type FileContent } from '../checkpoint/index.js'
import { ShallowDeepError } from '../errors.js'
import type { ShallowDeepModel } from '../model/index.js'

/** Size of a shard, that of TensorFlow.js's converter: browsers cache no larger responses. */
const SHARD_BYTES = 4 * 2 ** 20

/** Name of the file that is loaded. */
export const TFJS_MODEL_FILE = 'model.json'

/**
 * The files of a model by name. `float16` halves the weights' size; loading widens them. Throws
 * `checkpoint.float16-overflow`.
 */
export async function toTfjsFiles(
  { layersModel }: ShallowDeepModel,
  { dtype }: { readonly dtype: 'float32' | 'float16' },
): Promise<Map<string, FileContent>> {
  const { modelTopology, weightSpecs, weightData } = await takeArtifacts(layersModel)
  const floats = new Float32Array(tf.io.CompositeArrayBuffer.join(weightData))
  const bytes = dtype === 'float16' ? encodeHalves(floats, weightSpecs) : new Uint8Array(floats.buffer)
  const specs = dtype === 'float16' ? weightSpecs.map(asHalf) : weightSpecs
  const numShards = Math.max(1, Math.ceil(bytes.length / SHARD_BYTES))
  const paths = Array.from({ length: numShards }, (_, i) => `group1-shard${i + 1}of${numShards}.bin`)
  const json: tf.io.ModelJSON = {
    format: 'layers-model',
    generatedBy: 'shallowdeep',
    convertedBy: null,
    modelTopology,
    weightsManifest: [{ paths, weights: specs }],
  }
  const files = new Map<string, FileContent>([[TFJS_MODEL_FILE, toJsonText({ ...json })]])
  for (const [i, path] of paths.entries()) {
    files.set(path, bytes.subarray(i * SHARD_BYTES, (i + 1) * SHARD_BYTES))
  }
  return files
}

type Artifacts = Required<Pick<tf.io.ModelArtifacts, 'modelTopology' | 'weightSpecs' | 'weightData'>>

/** What tfjs itself would save. */
async function takeArtifacts(model: tf.LayersModel): Promise<Artifacts> {
  let taken: tf.io.ModelArtifacts | undefined
  const modelArtifactsInfo = { dateSaved: new Date(), modelTopologyType: 'JSON' } as const
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      taken = artifacts
      return { modelArtifactsInfo }
    }),
  )
  return taken as Artifacts
}

function asHalf(spec: tf.io.WeightsManifestEntry): tf.io.WeightsManifestEntry {
  return { ...spec, quantization: { dtype: 'float16' } }
}

function encodeHalves(floats: Float32Array, specs: readonly tf.io.WeightsManifestEntry[]): Uint8Array {
  const halves = new Uint16Array(floats.length)
  const overflow = narrowToFloat16(floats, halves)
  if (overflow < 0) return new Uint8Array(halves.buffer)
  let end = 0
  const owner = specs.find(({ shape }) => overflow < (end += tf.util.sizeFromShape(shape)))
  throw new ShallowDeepError({
    code: 'checkpoint.float16-overflow',
    message: `the weight ${owner?.name} holds ${floats[overflow]}, float16 ends at 65504`,
    hint: 'export it as float32',
    details: { name: owner?.name ?? null, value: floats[overflow] },
  })
}
