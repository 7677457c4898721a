// Parameters of equal shape, stacked, so that an optimiser's update is a few operations a group instead of a few dozen
// a parameter: with some 200 small matrices the cost of an operation is its start, not its arithmetic.
import * as tf from '@tensorflow/tfjs'

/** Parameters that share a shape; `stack` turns their values or gradients into one tensor [G, ...shape]. */
export class ParameterGroup {
  constructor(
    /** `matrix 192x512` and the like: the key of the optimiser's state in a checkpoint. */
    readonly key: string,
    readonly shape: readonly number[],
    readonly names: readonly string[],
    readonly variables: readonly tf.Variable[],
  ) {}

  /** Tensors by parameter name -> [G, ...shape]. */
  stack(tensors: Readonly<Record<string, tf.Tensor>>): tf.Tensor {
    return this.stackAll(this.names.map((name) => tensors[name]))
  }

  /** The current values, [G, ...shape]. */
  stackValues(): tf.Tensor {
    return this.stackAll(this.variables)
  }

  /** Writes [G, ...shape] back into the variables. */
  assign(stacked: tf.Tensor): void {
    tf.tidy(() => {
      const parts = this.variables.length === 1 ? [stacked] : splitRows(stacked)
      this.variables.forEach((variable, i) => variable.assign(tf.reshape(parts[i], variable.shape)))
    })
  }

  private stackAll(tensors: readonly tf.Tensor[]): tf.Tensor {
    // One concat along the first axis and a reshape: tf.stack would add an operation a tensor.
    return tf.tidy(() => {
      const joined = tensors.length === 1 ? tensors[0] : tf.concat([...tensors] as tf.Tensor2D[], 0)
      return tf.reshape(joined, [tensors.length, ...this.shape])
    })
  }
}

/** [G, ...shape] -> G tensors. */
function splitRows(stacked: tf.Tensor): tf.Tensor[] {
  const numRows = stacked.shape[0]
  if (tf.getBackend() !== 'wasm') return tf.split(stacked, numRows, 0)
  // wasm's split copies all of its input to the host for each part; once is enough.
  const values = stacked.dataSync()
  const size = values.length / numRows
  return Array.from({ length: numRows }, (_, row) => tf.tensor(values.subarray(row * size, (row + 1) * size)))
}

/** The groups of the given parameters, in the order of each shape's first parameter. */
export function groupParameters(variables: ReadonlyMap<string, tf.Variable>): ParameterGroup[] {
  const byShape = new Map<string, [string, tf.Variable][]>()
  for (const [name, variable] of variables) {
    const key = variable.shape.join('x')
    byShape.set(key, [...(byShape.get(key) ?? []), [name, variable]])
  }
  return [...byShape].map(([key, members]) => {
    const names = members.map(([name]) => name)
    const group = members.map(([, variable]) => variable)
    return new ParameterGroup(key, group[0].shape, names, group)
  })
}
