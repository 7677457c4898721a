// The shallow depth of a fine-tuning, where it is to be chosen: by what `choose-depth` measures, on the data of the run.
import type { FinetuneConfig } from '../config/index.js'
import { encodeExamples, prefixOf } from '../data/index.js'
import { readAllExamples } from '../data/index.node.js'
import type { BackendName } from '../engines/tfjs/index.js'
import type { DepthChoice } from '../evaluation/index.js'
import { chooseDepth } from './chooseDepth.js'
import { openCheckpoint } from './openCheckpoint.node.js'
import { validationColumns } from './trainRunLoop.node.js'

/** Examples that are looked at: as many as `choose-depth` takes. */
const NUM_EXAMPLES = 100

/**
 * Chooses on validation data, or on training data where there is none; along the references, since the checkpoint does not
 * do the task yet. Throws what opening the checkpoint, reading the data and {@link chooseDepth} throws.
 */
export async function chooseDepthFor(config: FinetuneConfig, signal?: AbortSignal): Promise<DepthChoice> {
  const { validation, data, limit = NUM_EXAMPLES, maxSourceLength, maxTargetLength } = config
  const { backend, threads } = config
  const checkpoint = await openCheckpoint(config.from, { backend: backend as BackendName, threads })
  try {
    const { examples } = await (validation === undefined
      ? readAllExamples(data, { ...config, limit: Math.min(limit, NUM_EXAMPLES) })
      : readAllExamples(validation, { ...validationColumns(config), limit: NUM_EXAMPLES }))
    const { tokenizer, engine } = checkpoint
    const prefix = prefixOf(config)
    const encoded = await encodeExamples(examples, { tokenizer, prefix, maxSourceLength, maxTargetLength })
    return await chooseDepth({
      engine,
      sources: encoded.examples.map(({ source }) => source),
      targets: encoded.examples.map(({ target }) => target),
      signal,
    })
  } finally {
    checkpoint.dispose()
  }
}
