// Graphs on the native backend: TensorFlow's C library reads them from a folder, so each is written to one for a moment.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as tf from '@tensorflow/tfjs'
import { ShallowDeepError } from '../../../errors.js'
import { joinChunks, type Chunks } from '../../../protobuf/index.js'
import { TAG } from './graphDef.js'
import type { GraphRuntime, LoadedGraph } from './runtime.js'

/** What of tfjs-node's backend serves to run graphs. */
export interface SavedModelBackend extends tf.KernelBackend {
  loadSavedModelMetaGraph(folder: string, tags: string): number
  deleteSavedModel(id: number): void
  runSavedModel(
    id: number,
    inputs: readonly tf.Tensor[],
    inputInfos: readonly { readonly name: string }[],
    outputs: readonly string[],
  ): tf.Tensor[]
}

/** Runs graphs by TensorFlow's sessions, which are for the CPU: on a GPU they would fetch all weights for each run. */
export function savedModelRuntime(backend: SavedModelBackend): GraphRuntime {
  return {
    load(savedModel: Chunks): LoadedGraph {
      const id = loadThroughFolder(backend, savedModel)
      return {
        run: (inputs, outputs) =>
          backend.runSavedModel(
            id,
            [...inputs.values()],
            Array.from(inputs.keys(), (name) => ({ name: `${name}:0` })),
            outputs.map((name) => `${name}:0`),
          ),
        dispose: () => backend.deleteSavedModel(id),
      }
    },
  }
}

function loadThroughFolder(backend: SavedModelBackend, savedModel: Chunks): number {
  let folder: string | undefined
  try {
    folder = mkdtempSync(join(tmpdir(), 'shallowdeep-graph-'))
    writeFileSync(join(folder, 'saved_model.pb'), joinChunks(savedModel))
    return backend.loadSavedModelMetaGraph(folder, TAG)
  } catch (error) {
    throw new ShallowDeepError({
      code: 'engine.graph-load',
      message: `TensorFlow could not load a graph through ${tmpdir()}: ${(error as Error).message.split('\n')[0]}`,
      hint: 'see that the folder can be written to (TMPDIR names another one), or take --backend wasm',
      cause: error,
      kind: 'failure',
    })
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}
