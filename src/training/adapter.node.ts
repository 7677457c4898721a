// An adaptation alone, in the folder that PEFT writes and reads: adapter_config.json and adapter_model.safetensors.
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJsonObject, readSafetensors, writeSafetensors } from '../checkpoint/index.js'
import { replaceFile } from '../checkpoint/index.node.js'
import { fromPeft, toPeft, type HostWeights, type Lora, type ModelConfig } from '../config/index.js'

const TENSORS_FILE = 'adapter_model.safetensors'
const CONFIG_FILE = 'adapter_config.json'

/** Writes both files, each whole, over those that are there. Throws `checkpoint.write-failed`. */
export async function writeAdapter(
  folder: string,
  lora: Lora,
  context: { readonly config: ModelConfig; readonly baseModel: string; readonly dropout: number },
): Promise<void> {
  const { tensors, configJson } = toPeft(lora, context.config, context)
  await mkdir(folder, { recursive: true })
  await replaceFile(join(folder, CONFIG_FILE), `${JSON.stringify(configJson, null, 2)}\n`)
  await replaceFile(join(folder, TENSORS_FILE), writeSafetensors(tensors, { metadata: { format: 'pt' } }))
}

/** Reads an adapter of a model of this shape; mergeLora adds it to the model's weights. Throws what `fromPeft` throws. */
export async function readAdapter(folder: string, config: ModelConfig): Promise<Lora> {
  const [tensorsPath, configPath] = [join(folder, TENSORS_FILE), join(folder, CONFIG_FILE)]
  const { tensors } = readSafetensors(await readFile(tensorsPath), tensorsPath)
  const configJson = parseJsonObject(await readFile(configPath), configPath)
  return fromPeft(tensors as HostWeights, configJson, config, folder)
}
