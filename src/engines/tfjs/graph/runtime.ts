// Backends that can run a whole graph of operations in one call. Starting an operation from JavaScript costs more than most
// operations of a decoding step take.
import * as tf from '@tensorflow/tfjs'
import type { Chunks } from '../../../protobuf/index.js'

/** A graph that was loaded; the owner disposes it. */
export interface LoadedGraph {
  /**
   * Computes outputs, and nothing that they do not need, from inputs, both by the names of their nodes. The outputs are
   * the caller's, tracked as those of any operation.
   */
  run(inputs: ReadonlyMap<string, tf.Tensor>, outputs: readonly string[]): tf.Tensor[]
  dispose(): void
}

export interface GraphRuntime {
  /** Loads a graph from a SavedModel message. Throws `engine.graph-load` where it can't. */
  load(savedModel: Chunks): LoadedGraph
}

const runtimes = new WeakMap<tf.KernelBackend, GraphRuntime>()

/** Says that a backend can run graphs. */
export function offerGraphs(backend: tf.KernelBackend, runtime: GraphRuntime): void {
  runtimes.set(backend, runtime)
}

/** What runs graphs on the current backend, if it can. */
export function currentGraphRuntime(): GraphRuntime | undefined {
  return runtimes.get(tf.backend())
}
