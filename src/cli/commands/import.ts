// `shallowdeep import`: a Hugging Face T5, from a folder or the hub, as a checkpoint with a shallow exit.
import { importOptionsSchema } from '../../config/index.js'
import type { HubProgress } from '../../checkpoint/index.node.js'
import type { ImportedCheckpoint } from '../../pipeline/index.node.js'
import { defineCommand } from '../command.js'
import type { Output } from '../output.js'
import type { Progress } from '../progress.js'

export const createCommand = defineCommand({
  name: 'import',
  summary: 'make a checkpoint of a Hugging Face T5: a folder, or a model of the hub',
  argument: { name: '<source>', description: 'folder with config.json and model.safetensors, or a hub id' },
  schema: importOptionsSchema,
  groups: { 'Model:': ['shallowLayers', 'revision', 'dtype'], 'Output:': ['output', 'overwrite'] },
  examples: ['shallowdeep import checkpoints/translation-de-en --shallow-layers 3 --output /tmp/imported'],
  async run(options, { args: [source], output, signal }) {
    const { importCheckpoint } = await import('../../pipeline/index.node.js')
    const download = showDownload(output)
    let imported: ImportedCheckpoint
    try {
      imported = await importCheckpoint(source, { ...options, onProgress: download.update, signal })
    } finally {
      download.end()
    }
    const { isFromCacheAlone, config, tokenizer } = imported
    if (isFromCacheAlone) output.warn(`${source} was taken from the cache, commit ${imported.commit}`)
    if (tokenizer === null) output.warn(`${imported.source} has no tokenizer: put a tokenizer.json beside`)
    if (output.isJson) return output.json(imported)
    const { encoderLayers, decoderLayers, shallowLayers } = config
    const millions = (imported.numParameters / 1e6).toFixed(1)
    output.line(
      `${imported.output}: ${millions} M parameters, ${encoderLayers} encoder and ${decoderLayers} decoder layers, ` +
        `shallow exit after layer ${shallowLayers}`,
    )
  },
})

/** A bar in megabytes over all files that are downloaded; a new one when the shards become known. */
function showDownload(output: Output): { update(progress: HubProgress): void; end(): void } {
  const toMegabytes = (bytes: number) => Math.ceil(bytes / 1e6)
  let bar: { readonly progress: Progress; readonly totalBytes: number } | undefined
  return {
    update({ file, doneBytes, totalBytes }) {
      if (bar?.totalBytes !== totalBytes) {
        bar?.progress.end()
        const [total, done] = [toMegabytes(totalBytes), toMegabytes(doneBytes)]
        bar = { progress: output.progress({ label: 'downloading MB', total, done }), totalBytes }
      }
      bar.progress.update(toMegabytes(doneBytes), [file])
    },
    end: () => bar?.progress.end(),
  }
}
