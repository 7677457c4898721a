// Models of the hub, from a server on loopback: the cache's layout, what is downloaded and what is not, interruptions,
// damage, and life without a network.
import assert from 'node:assert/strict'
import { lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchFromHub, isHubId, readCheckpointFolder } from '../../src/checkpoint/index.node.js'
import type { HubOptions, HubProgress } from '../../src/checkpoint/index.node.js'
import { ShallowDeepError } from '../../src/errors.js'
import { startHub, type HubServer } from './hubServer.js'
import { useTemporaryFolder } from './temporaryFolder.js'

const GOLDEN = fileURLToPath(new URL('../golden/t5-parity/', import.meta.url))
const ID = 'someone/small.t5'

function filesOf(name: string): Map<string, Buffer> {
  const wanted = /^(config\.json|generation_config\.json|model.*)$/
  const names = readdirSync(join(GOLDEN, name)).filter((file) => wanted.test(file))
  const files = new Map(names.map((file) => [file, readFileSync(join(GOLDEN, name, file))]))
  return files.set('README.md', Buffer.from('# card')).set('pytorch_model.bin', Buffer.from('no'))
}

describe('a model of the hub', () => {
  const temporary = useTemporaryFolder()
  let hub: HubServer
  let sharded: HubServer
  const weights = filesOf('v10').get('model.safetensors')!
  before(async () => {
    hub = await startHub(ID, filesOf('v10'), new Set(['model.safetensors', 'pytorch_model.bin']))
    const shards = filesOf('sharded')
    sharded = await startHub('big', shards, new Set(shards.keys()))
  })
  after(() => Promise.all([hub.close(), sharded.close()]))
  beforeEach(() => {
    for (const { faults, requests } of [hub, sharded]) {
      for (const key of Object.keys(faults)) delete (faults as Record<string, unknown>)[key]
      requests.length = 0
    }
  })

  const fetchIt = (cacheFolder: string, more: HubOptions = {}) =>
    fetchFromHub(ID, { hubUrl: hub.url, cacheFolder, isOffline: false, ...more })

  async function assertRefused(promise: Promise<unknown>, code: string, pattern: RegExp): Promise<void> {
    await assert.rejects(promise, (error) => {
      assert.ok(error instanceof ShallowDeepError, String(error))
      assert.equal(error.code, code, error.message)
      assert.match(error.message, pattern)
      assert.doesNotMatch(`${error.message}${error.hint}`, /\n/)
      return true
    })
  }

  it('is laid out in the cache as Python lays it out, and holds what the hub has', async () => {
    const cache = temporary('cache')
    const progress: HubProgress[] = []
    const { folder, commit, isFromCacheAlone } = await fetchIt(cache, {
      onProgress: (step) => progress.push(step),
    })
    assert.deepEqual([commit, isFromCacheAlone], [hub.commit, false])
    const repository = join(cache, 'models--someone--small.t5')
    assert.equal(folder, join(repository, 'snapshots', hub.commit))
    assert.equal(readFileSync(join(repository, 'refs/main'), 'utf8'), hub.commit)
    assert.deepEqual(readdirSync(folder).sort(), [
      'config.json',
      'generation_config.json',
      'model.safetensors',
    ])
    for (const name of readdirSync(folder)) {
      const path = join(folder, name)
      assert.ok(lstatSync(path).isSymbolicLink())
      const length = name === 'model.safetensors' ? 64 : 40
      assert.match(readlinkSync(path), new RegExp(`^\\.\\./\\.\\./blobs/[0-9a-f]{${length}}$`))
      assert.deepEqual(readFileSync(path), filesOf('v10').get(name))
    }
    assert.deepEqual(await readCheckpointFolder(folder), await readCheckpointFolder(join(GOLDEN, 'v10')))
    const { doneBytes, totalBytes } = progress.at(-1)!
    assert.equal(doneBytes, totalBytes)
    assert.ok(progress.every((step, i) => i === 0 || step.doneBytes >= progress[i - 1].doneBytes))
    assert.deepEqual(
      hub.requests.map((request) => request.split(' ')[0]),
      ['config.json', 'generation_config.json', 'model.safetensors'],
    )
  })

  it('is not downloaded twice, and its other revisions share their blobs', async () => {
    const cache = temporary('cache')
    await fetchIt(cache)
    hub.requests.length = 0
    const again = await fetchIt(cache, { revision: 'refs/pr/1' })
    assert.equal(again.commit, hub.commit)
    assert.deepEqual(hub.requests, [])
    assert.equal(readFileSync(join(cache, 'models--someone--small.t5/refs/refs/pr/1'), 'utf8'), hub.commit)
  })

  it('in shards comes with the shards that its index names', async () => {
    const options = { hubUrl: sharded.url, cacheFolder: temporary('cache'), isOffline: false }
    const { folder } = await fetchFromHub('big', options)
    assert.deepEqual(await readCheckpointFolder(folder), await readCheckpointFolder(join(GOLDEN, 'sharded')))
  })

  it('goes on where the download broke off, and is whole', async () => {
    const cache = temporary('cache')
    hub.faults.breakOff = { name: 'model.safetensors', afterBytes: 100_000 }
    await assertRefused(
      fetchIt(cache),
      'hub.interrupted',
      /^the download of someone\/small\.t5 from http:\S+ broke off: /,
    )
    delete hub.faults.breakOff
    hub.requests.length = 0
    const first: number[] = []
    const onProgress = ({ file, doneBytes }: HubProgress) => {
      if (file === 'model.safetensors') first.push(doneBytes)
    }
    const { folder } = await fetchIt(cache, { onProgress })
    assert.deepEqual(hub.requests, [`model.safetensors 100000-${weights.length}`])
    assert.ok(first[0] > 100_000, 'progress begins with what is there')
    assert.deepEqual(readFileSync(join(folder, 'model.safetensors')), weights)
    const blobs = readdirSync(join(cache, 'models--someone--small.t5/blobs'))
    assert.ok(blobs.every((name) => !name.endsWith('.incomplete')))
  })

  it('is downloaded from the start where the hub ignores ranges or what is there is wrong', async () => {
    for (const spoil of [() => (hub.faults.ignoresRanges = true), spoilIncomplete]) {
      const cache = temporary('cache')
      hub.faults.breakOff = { name: 'model.safetensors', afterBytes: 1000 }
      await assertRefused(fetchIt(cache), 'hub.interrupted', /broke off/)
      delete hub.faults.breakOff
      spoil(cache)
      const { folder } = await fetchIt(cache)
      assert.deepEqual(readFileSync(join(folder, 'model.safetensors')), weights)
      delete hub.faults.ignoresRanges
    }
    function spoilIncomplete(cache: string): void {
      const blobs = join(cache, 'models--someone--small.t5/blobs')
      const name = readdirSync(blobs).find((file) => file.endsWith('.incomplete'))!
      writeFileSync(join(blobs, name), Buffer.alloc(5000, 7))
    }
  })

  it('that is not what its hash says is refused and not kept, large or small', async () => {
    for (const name of ['model.safetensors', 'config.json']) {
      const cache = temporary('cache')
      hub.faults.corrupts = name
      await assertRefused(fetchIt(cache), 'hub.corrupt-download', new RegExp(`^${name}: `))
      delete hub.faults.corrupts
      const { folder } = await fetchIt(cache)
      assert.deepEqual(readFileSync(join(folder, name)), filesOf('v10').get(name))
    }
  })

  it('is found in the cache without a network, by branch and by commit', async () => {
    const cache = temporary('cache')
    await fetchIt(cache)
    const closed = 'http://127.0.0.1:1'
    for (const options of [
      { hubUrl: closed },
      { isOffline: true },
      { isOffline: true, revision: hub.commit },
    ]) {
      const found = await fetchIt(cache, options)
      assert.deepEqual([found.commit, found.isFromCacheAlone], [hub.commit, true])
      assert.deepEqual(
        await readCheckpointFolder(found.folder),
        await readCheckpointFolder(join(GOLDEN, 'v10')),
      )
    }
    assert.equal(hub.requests.length, 3)
  })

  it('is not taken from the cache where it is not whole there', async () => {
    const cache = temporary('cache')
    hub.faults.breakOff = { name: 'model.safetensors', afterBytes: 1000 }
    await assertRefused(fetchIt(cache), 'hub.interrupted', /broke off/)
    await assertRefused(fetchIt(cache, { isOffline: true }), 'hub.not-cached', /not whole in the cache/)
  })

  it('without a network and a cache is one line that says so', async () => {
    const options = { hubUrl: 'http://127.0.0.1:1' }
    await assertRefused(fetchIt(temporary('cache'), options), 'hub.unreachable', /cannot be reached: \S/)
    await assertRefused(fetchIt(temporary('cache'), { isOffline: true }), 'hub.not-cached', /HF_HUB_OFFLINE/)
  })

  it('that is not there, not for everybody, or in another format is one line that says so', async () => {
    const cache = temporary('cache')
    await assertRefused(fetchIt(cache, { revision: 'v9' }), 'hub.no-such-model', /revision v9/)
    await assertRefused(
      fetchFromHub('nobody/x', { hubUrl: hub.url, cacheFolder: cache }),
      'hub.no-such-model',
      /404/,
    )
    hub.faults.status = 503
    await assertRefused(fetchIt(cache), 'hub.refused', /status 503/)
    const old = await startHub(
      'old',
      new Map([...filesOf('v10')].filter(([name]) => !/^model/.test(name))),
      new Set(),
    )
    const options = { hubUrl: old.url, cacheFolder: cache }
    await assertRefused(fetchFromHub('old', options), 'hub.no-safetensors', /it has pytorch_model\.bin$/)
    await old.close()
  })

  it('is asked for with the token that is given', async () => {
    await fetchIt(temporary('cache'), { accessToken: 'hf_x' })
    assert.equal(hub.lastToken(), 'Bearer hf_x')
  })

  it('stops when it is told to, and leaves what came', async () => {
    const cache = temporary('cache')
    const controller = new AbortController()
    const onProgress = ({ file, doneBytes }: HubProgress) => {
      if (file === 'model.safetensors' && doneBytes > 20_000) controller.abort(new Error('enough'))
    }
    await assert.rejects(fetchIt(cache, { onProgress, signal: controller.signal }), { message: 'enough' })
  })

  it('has an id of one or two names, and a revision that stays in the cache', async () => {
    for (const id of ['t5-small', 'google/flan-t5-small', 'a/b.c_d']) assert.ok(isHubId(id), id)
    for (const id of ['', '../x', 'a/../b', '/a', 'a/b/c', 'a b', './a', 'a/']) assert.ok(!isHubId(id), id)
    for (const revision of ['../../x', '/etc', 'a//b', '']) {
      await assertRefused(fetchIt(temporary('cache'), { revision }), 'hub.bad-revision', /revision/)
    }
  })
})
