// Operations whose gradient tfjs lacks or computes slowly, each with a gradient of its own. Nothing about T5 lives here.
import * as tf from '@tensorflow/tfjs'
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'

/** True while a gradient tape records: the moment to pay for what only a gradient needs. */
export function isRecording(): boolean {
  return tf.engine().state.activeTape != null
}

/**
 * Forgets the tape of a gradient that threw, and frees what it had saved for going back: tfjs does neither. Not for use
 * inside of another gradient.
 */
export function discardTape(): void {
  const { state } = tf.engine()
  for (const { saved } of state.activeTape ?? []) tf.dispose(saved ?? [])
  state.activeTape = null as never
}

/** On wasm a transposed operand makes a product about eight times slower than transposing first. */
function transposesFirst(): boolean {
  return tf.getBackend() === 'wasm'
}

function swapLast<T extends tf.Tensor>(x: T): T {
  const axes = x.shape.map((_, axis) => axis)
  axes.push(axes.splice(-2, 1)[0])
  return tf.transpose(x, axes)
}

/** Matrix product of the last two axes with either operand transposed, in the fastest way for the backend. */
export function matMulTransposed<T extends tf.Tensor>(
  a: T,
  b: T,
  transposeA: boolean,
  transposeB: boolean,
): T {
  if (!transposesFirst()) return tf.matMul(a, b, transposeA, transposeB)
  return tf.tidy(() => tf.matMul(transposeA ? swapLast(a) : a, transposeB ? swapLast(b) : b))
}

/**
 * Matrix product of the last two axes, [..., N, A] x [..., A, C] -> [..., N, C] (equal leading axes), whose gradient
 * has no transposed operand on wasm.
 */
export function product<T extends tf.Tensor>(a: T, b: T): T {
  if (!isRecording() || !transposesFirst()) return tf.matMul(a, b)
  const op = tf.customGrad((x, y, save) => {
    const [left, right] = [x as tf.Tensor, y as tf.Tensor]
    ;(save as tf.GradSaveFunc)([left, right])
    return {
      value: tf.matMul(left, right),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => [
        matMulTransposed(dy, saved[1], false, true),
        matMulTransposed(saved[0], dy, true, false),
      ],
    }
  })
  return op(a, b) as T
}

/**
 * Matrix product of the last two axes with `b` transposed, [..., N, A] x [..., C, A] -> [..., N, C], for products of many
 * small matrices: of these, unlike of two large ones, wasm reads a transposed second operand as fast as a plain one.
 */
export function productTransposed<T extends tf.Tensor>(a: T, b: T): T {
  if (!isRecording() || !transposesFirst()) return tf.matMul(a, b, false, true)
  const op = tf.customGrad((x, y, save) => {
    const [left, right] = [x as tf.Tensor, y as tf.Tensor]
    ;(save as tf.GradSaveFunc)([left, right])
    return {
      value: tf.matMul(left, right, false, true),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => [
        tf.matMul(dy, saved[1]),
        matMulTransposed(dy, saved[0], true, false),
      ],
    }
  })
  return op(a, b) as T
}

/** Matrix product [N, A] x [A, C] where `b` is a constant: no gradient of it is computed. */
export function productWithConstant(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor2D {
  if (!isRecording()) return tf.matMul(a, b)
  const op = tf.customGrad((x, save) => {
    ;(save as tf.GradSaveFunc)([b])
    return {
      value: tf.matMul(x as tf.Tensor2D, b),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => matMulTransposed(dy, saved[0], false, true),
    }
  })
  return op(a) as tf.Tensor2D
}

/** Adds the rows of `updates` [N, D] into a [size, D] tensor of zeros at `indices` [N] (int32). */
export function scatterAddRows(updates: tf.Tensor2D, indices: tf.Tensor1D, size: number): tf.Tensor2D {
  if (tf.getBackend() !== 'wasm') return tf.unsortedSegmentSum(updates, indices, size) as tf.Tensor2D
  // wasm has no such kernel, but its memory is the host's: a plain loop is the fastest way.
  const width = updates.shape[1]
  const rows = indices.dataSync()
  const values = updates.dataSync()
  const sums = new Float32Array(size * width)
  for (let n = 0; n < rows.length; n++) {
    const from = n * width
    const to = rows[n] * width
    for (let d = 0; d < width; d++) sums[to + d] += values[from + d]
  }
  return tf.tensor2d(sums, [size, width])
}

/** The memory of a tensor on wasm, which is the host's, without a copy; valid until the next operation. */
function viewOnWasm(x: tf.Tensor): tf.TypedArray {
  return (tf.backend() as BackendWasm).typedArrayFromHeap(x) as tf.TypedArray
}

/**
 * `count` entries of the first axis from `start` on; all of them: `x` itself. Not for use while a gradient tape records.
 */
export function takeFirst<T extends tf.Tensor>(x: T, start: number, count: number): T {
  const [total, ...rest] = x.shape
  if (count === total) return x
  if (tf.getBackend() !== 'wasm') {
    const zeros = rest.map(() => 0)
    return tf.slice(x, [start, ...zeros], [count, ...rest])
  }
  // wasm's own slice copies all of its input to the host first.
  const size = x.size / total
  const part = viewOnWasm(x).slice(start * size, (start + count) * size)
  return tf.tensor(part, [count, ...rest], x.dtype) as T
}

/** Rows of `table` [V, D] at `indices` [N] (int32) -> [N, D]. */
export function embed(table: tf.Tensor2D, indices: tf.Tensor1D): tf.Tensor2D {
  if (!isRecording()) return tf.gather(table, indices)
  const op = tf.customGrad((x, save) => {
    const value = tf.gather(x as tf.Tensor2D, indices)
    // Saved, so that the caller's tidy does not free the indices before the gradient needs them; and not before the
    // gather, which throws at an id outside of the table.
    ;(save as tf.GradSaveFunc)([indices])
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        scatterAddRows(dy as tf.Tensor2D, saved[0] as tf.Tensor1D, table.shape[0]),
    }
  })
  return op(table) as tf.Tensor2D
}

/** 1 / sqrt(sum(x^2) + D * epsilon) over the last axis: x [N, D] -> [N, 1]. */
function inverseLength(x: tf.Tensor2D, epsilon: number): tf.Tensor2D {
  // A sum instead of a mean, which costs twice as much on small tensors.
  return tf.rsqrt(tf.add(tf.sum(tf.square(x), 1, true), x.shape[1] * epsilon))
}

/**
 * What is left of {@link rmsNorm} where its weight, times sqrt(D), stands in the matrix that comes next:
 * x / sqrt(sum(x^2) + D * epsilon). x [N, D] -> [N, D].
 */
export function lengthNorm(x: tf.Tensor2D, epsilon: number): tf.Tensor2D {
  return tf.tidy(() => tf.mul(x, inverseLength(x, epsilon)))
}

/**
 * T5's layer norm: x / sqrt(mean(x^2) + epsilon) * weight over the last axis, without mean subtraction and bias
 * (T5LayerNorm). x [N, D], weight [D] -> [N, D].
 */
export function rmsNorm(x: tf.Tensor2D, weight: tf.Tensor1D, epsilon: number): tf.Tensor2D {
  const inverseRms = (input: tf.Tensor2D) =>
    tf.tidy(() => tf.mul(inverseLength(input, epsilon), Math.sqrt(input.shape[1]))) as tf.Tensor2D
  if (!isRecording()) return tf.tidy(() => tf.mul(tf.mul(x, inverseRms(x)), weight))
  const op = tf.customGrad((input, scale, save) => {
    const [x, weight] = [input as tf.Tensor2D, scale as tf.Tensor1D]
    const inverse = inverseRms(x)
    const normed = tf.mul(x, inverse)
    ;(save as tf.GradSaveFunc)([normed, inverse, weight])
    return {
      value: tf.mul(normed, weight),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [normed, inverse, weight] = saved
        const dNormed = tf.mul(dy, weight)
        const along = tf.mean(tf.mul(dNormed, normed), 1, true)
        return [tf.mul(tf.sub(dNormed, tf.mul(normed, along)), inverse), tf.sum(tf.mul(dy, normed), 0)]
      },
    }
  })
  return op(x, weight) as tf.Tensor2D
}
