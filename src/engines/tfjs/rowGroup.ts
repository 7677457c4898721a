// Several rows in one pass: what each of them keeps, side by side before and apart after. A lone row costs nothing here.
// All functions are called inside a tidy.
import * as tf from '@tensorflow/tfjs'
import type { KeyValue } from '../../model/index.js'

/** A row's keys and values, typed as tfjs wants the results of a tidy. */
type RowKeyValue = KeyValue & tf.NamedTensorMap

/** States [P, D] of each row to [B*P, D]. */
export function joinRows(states: readonly tf.Tensor2D[]): tf.Tensor2D {
  return states.length === 1 ? states[0] : tf.concat([...states], 0)
}

/** The inverse of {@link joinRows}. */
export function splitRows(states: tf.Tensor2D, batch: number): tf.Tensor2D[] {
  return batch === 1 ? [states] : tf.split(states, batch, 0)
}

/** Keys and values of each row, batch 1, to batch B; undefined where the rows, all alike, have none. */
export function joinKeyValues(rows: readonly (KeyValue | undefined)[]): KeyValue | undefined {
  if (rows.length === 1 || rows[0] === undefined) return rows[0]
  return {
    key: tf.concat(
      rows.map((row) => row!.key),
      0,
    ),
    value: tf.concat(
      rows.map((row) => row!.value),
      0,
    ),
  }
}

/** The inverse of {@link joinKeyValues}. */
export function splitKeyValue(joined: KeyValue): RowKeyValue[] {
  const batch = joined.key.shape[0]
  if (batch === 1) return [joined as RowKeyValue]
  const values: tf.Tensor4D[] = tf.split(joined.value, batch, 0)
  return tf.split(joined.key, batch, 0).map((key, i) => ({ key: key as tf.Tensor4D, value: values[i] }))
}
