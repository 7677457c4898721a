// Costs as they are kept in files, for tests of the files.
import type { DecodingCosts } from '../../src/evaluation/index.js'
import type { CostsKey } from '../../src/pipeline/costCache.node.js'

export const KEY: CostsKey = { engine: 'scripted', threads: 1, keepFloat: ['head'], shallowdeep: '0.1.0' }

/** Different ones for different numbers. */
export function sampleCosts(n: number): DecodingCosts {
  return {
    shallowMs: 1 + n,
    deep: [
      { positions: 1, ms: 2 },
      { positions: 2, ms: 3 },
    ],
    fullMs: 3,
  }
}
