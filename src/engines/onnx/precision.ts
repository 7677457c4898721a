// In what precision each matrix of a model is, for each dtype of the engine.
import type { Precision } from '../../onnx/index.js'

/** Precisions that the engine computes in. */
export const ONNX_DTYPES = ['float32', 'int8', 'q8', 'q4'] as const satisfies readonly Precision[]

export type OnnxDtype = (typeof ONNX_DTYPES)[number]

/** Matrices that can stay in float32. Norms, position biases and the embedding table always do. */
export const MATRIX_GROUPS = ['head', 'encoder', 'attention', 'feed-forward', 'feed-forward-output'] as const

export type MatrixGroup = (typeof MATRIX_GROUPS)[number]

const belongsTo: Readonly<Record<MatrixGroup, (name: string) => boolean>> = {
  head: (name) => name === 'head',
  encoder: (name) => name.startsWith('encoder.'),
  attention: (name) => /attention/i.test(name),
  'feed-forward': (name) => name.includes('.feedForward.'),
  'feed-forward-output': (name) => name.endsWith('.feedForward.output'),
}

/** The precision of a matrix by its name: that of `dtype`, but float32 in the groups of `keepFloat`. */
export function precisionFor(
  dtype: OnnxDtype,
  keepFloat: readonly MatrixGroup[],
): (name: string) => Precision {
  return (name) => (keepFloat.some((group) => belongsTo[group](name)) ? 'float32' : dtype)
}
