// In what precision each matrix of a model is.
import type { EngineDtype, MatrixGroup } from './runtime.js'

/** What a model is to be computed in. */
export interface PrecisionOptions {
  /** Neutral: float32. */
  readonly dtype?: EngineDtype
  /** Matrices that stay in float32 whatever `dtype` is. Neutral: none. */
  readonly keepFloat?: readonly MatrixGroup[]
}

const belongsTo: Readonly<Record<MatrixGroup, (name: string) => boolean>> = {
  head: (name) => name === 'head',
  encoder: (name) => name.startsWith('encoder.'),
  attention: (name) => /attention/i.test(name),
  'feed-forward': (name) => name.includes('.feedForward.'),
  'feed-forward-output': (name) => name.endsWith('.feedForward.output'),
}

/** The precision of a matrix by its name. Norms, position biases and the embedding table are no matrices here. */
export function precisionFor({
  dtype = 'float32',
  keepFloat = [],
}: PrecisionOptions): (name: string) => EngineDtype {
  return (name) => (keepFloat.some((group) => belongsTo[group](name)) ? 'float32' : dtype)
}
