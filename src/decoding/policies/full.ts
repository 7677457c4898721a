// `full`: never exit early. The reference for quality and speed, so it pays for no exit but the last.
import type { Policy } from './policy.js'
import { shallowAndDeep } from './policy.js'

/** Every token comes from the last decoder layer. */
export function full(): Policy {
  return { name: 'full', threshold: null, exits: shallowAndDeep, isEarly: false, leaves: () => false }
}
