// Weights in shards: the reference implementation's folder on disk and in buffers, and every way in which index and shards
// can disagree.
import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fromCheckpointFiles, SHARD_INDEX_FILE } from '../../src/checkpoint/index.js'
import { readCheckpointFolder, writeCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { ShallowDeepError } from '../../src/errors.js'
import { useTemporaryFolder } from './temporaryFolder.js'

const GOLDEN = fileURLToPath(new URL('../golden/t5-parity/sharded', import.meta.url))
const SHARDS = readdirSync(GOLDEN)
  .filter((name) => /^model-.*\.safetensors$/.test(name))
  .sort()

type Index = { metadata?: unknown; weight_map: Record<string, unknown> }

describe('a checkpoint in shards', () => {
  const temporary = useTemporaryFolder()

  /** A copy of the reference's folder with its index changed. */
  function altered(change: (index: Index, folder: string) => void): string {
    const folder = temporary('altered')
    cpSync(GOLDEN, folder, { recursive: true })
    const path = join(folder, SHARD_INDEX_FILE)
    const index = JSON.parse(readFileSync(path, 'utf8')) as Index
    change(index, folder)
    writeFileSync(path, JSON.stringify(index))
    return folder
  }

  /** Refused alike from disk and from buffers. */
  async function assertRefused(folder: string, code: string, pattern: RegExp): Promise<void> {
    const check = (error: unknown) => {
      assert.ok(error instanceof ShallowDeepError, String(error))
      assert.equal(error.code, code, error.message)
      assert.match(error.message, pattern)
      assert.doesNotMatch(error.message, /\n/)
      return true
    }
    await assert.rejects(readCheckpointFolder(folder), check)
    const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))
    assert.throws(() => fromCheckpointFiles(files, folder), check)
  }

  it('is the same from disk and from buffers, and the same when written as one file', async () => {
    assert.equal(SHARDS.length, 4)
    const fromDisk = await readCheckpointFolder(GOLDEN)
    const files = new Map(readdirSync(GOLDEN).map((name) => [name, readFileSync(join(GOLDEN, name))]))
    assert.deepEqual(fromCheckpointFiles(files, GOLDEN), fromDisk)
    const whole = temporary('whole')
    await writeCheckpointFolder(whole, fromDisk)
    assert.deepEqual(await readCheckpointFolder(whole), fromDisk)
  })

  it('does not matter beside a whole file, which is the one that is read', async () => {
    const folder = altered((index) => (index.weight_map = {}))
    cpSync(join(GOLDEN, '../v11/model.safetensors'), join(folder, 'model.safetensors'))
    cpSync(join(GOLDEN, '../v11/config.json'), join(folder, 'config.json'))
    assert.deepEqual(await readCheckpointFolder(folder), await readCheckpointFolder(join(GOLDEN, '../v11')))
  })

  it('is refused where a shard is missing', async () => {
    const folder = altered((_, folder) => rmSync(join(folder, SHARDS[2])))
    await assertRefused(folder, 'checkpoint.missing-file', /model-00003-of-00004\.safetensors/)
  })

  it('is refused where a shard is cut off', async () => {
    const folder = altered((_, folder) => {
      const bytes = readFileSync(join(folder, SHARDS[1]))
      writeFileSync(join(folder, SHARDS[1]), bytes.subarray(0, bytes.length - 4))
    })
    await assertRefused(folder, 'checkpoint.truncated', /model-00002-of-00004/)
  })

  it('is refused where the index puts a tensor into another shard', async () => {
    const folder = altered(({ weight_map: map }) => {
      const [name] = Object.entries(map).find(([, file]) => file === SHARDS[0])!
      map[name] = SHARDS[1]
    })
    await assertRefused(folder, 'checkpoint.bad-index', /is in "model-00001.*by the index in "model-00002/)
  })

  it('is refused where the index names a tensor that no shard has', async () => {
    const folder = altered(({ weight_map: map }) => (map['ghost'] = SHARDS[0]))
    await assertRefused(folder, 'checkpoint.bad-index', /"ghost" is not in "model-00001/)
  })

  it('is refused where a shard holds a tensor that the index does not name', async () => {
    const folder = altered(({ weight_map: map }) => delete map['shared.weight'])
    await assertRefused(folder, 'checkpoint.bad-index', /"shared\.weight".*by the index nowhere/)
  })

  it('is refused where two shards hold the same tensor', async () => {
    const folder = altered(({ weight_map: map }, folder) => {
      cpSync(join(folder, SHARDS[0]), join(folder, 'model-00005-of-00005.safetensors'))
      map['ghost'] = 'model-00005-of-00005.safetensors'
    })
    await assertRefused(folder, 'checkpoint.bad-index', /is in "model-00005.*by the index in "model-00001/)
  })

  it('is refused where the index leads out of its folder', async () => {
    for (const name of [
      '../v11/model.safetensors',
      '/etc/x.safetensors',
      'a\\b.safetensors',
      'config.json',
    ]) {
      const folder = altered(({ weight_map: map }) => (map['shared.weight'] = name))
      await assertRefused(folder, 'config.invalid-value', /weight_map/)
    }
  })

  it('is refused where the index is no index', async () => {
    const noMap = altered((index) => delete (index as Partial<Index>).weight_map)
    await assertRefused(noMap, 'config.invalid-value', /weight_map: missing/)
    const broken = altered(() => undefined)
    writeFileSync(join(broken, SHARD_INDEX_FILE), '{"weight_map": {')
    await assertRefused(broken, 'checkpoint.bad-json', /line 1, column 17/)
  })
})
