// Products and attention by several threads: the same bits as by one, whoever takes which part; and a process that ends when it is done.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const child = fileURLToPath(new URL('threads.child.ts', import.meta.url))

async function run(
  sizes: 'all' | 'small',
  ...counts: [numThreads: number, numProducts: number, pauses: number]
) {
  const args = ['--import', 'tsx', child, sizes, ...counts.map(String)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 })
  return JSON.parse(stdout) as { numStarted: number; numDifferent: number }
}

describe('products by several threads', () => {
  for (const [numThreads, numProducts, pauses] of [
    [2, 3000, 0],
    [2, 500, 30],
    [4, 1500, 0],
  ]) {
    it(`${numThreads} threads, ${numProducts} products, ${pauses === 0 ? 'without pauses' : 'with pauses'}: the same bits as by one`, async () => {
      assert.deepEqual(await run('all', numThreads, numProducts, pauses), {
        numStarted: numThreads - 1,
        numDifferent: 0,
      })
    })
  }

  it('one thread starts no other', async () => {
    assert.deepEqual(await run('all', 1, 100, 0), { numStarted: 0, numDifferent: 0 })
  })

  it('small products start none', async () => {
    assert.deepEqual(await run('small', 2, 100, 0), { numStarted: 0, numDifferent: 0 })
  })
})
