// How often two exits of the model choose the same token. Not a metric over texts: it compares token ids.
import { requireEqualLengths } from './metric.js'

/**
 * The share, 0 to 1, of positions where both exits choose the same token; null when there is no position.
 * Throws `metrics.length-mismatch`.
 */
export function exitAgreement(shallow: ArrayLike<number>, deep: ArrayLike<number>): number | null {
  requireEqualLengths({ shallow, deep })
  if (shallow.length === 0) return null
  let numEqual = 0
  for (let i = 0; i < shallow.length; i++) if (shallow[i] === deep[i]) numEqual++
  return numEqual / shallow.length
}
