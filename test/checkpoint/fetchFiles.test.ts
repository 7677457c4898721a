// Checkpoints over HTTP: what a server has is what the folder has, and what goes wrong on the way is said, with its place.
import assert from 'node:assert/strict'
import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import {
  CHECKPOINT_FILES,
  fetchCheckpointFiles,
  fromCheckpointFiles,
  type FetchProgress,
} from '../../src/checkpoint/index.js'
import { readCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { fetchCheckpoint } from '../../src/pipeline/index.js'

const golden = fileURLToPath(new URL('../golden/t5-parity/', import.meta.url))
const trained = fileURLToPath(new URL('../../checkpoints/translation-de-en', import.meta.url))

describe('a checkpoint over HTTP', () => {
  let server: Server
  let origin: string
  /** Paths that were asked for. */
  let requests: string[] = []
  /** Answers in place of the file, by path. */
  let faults: Readonly<Record<string, (response: ServerResponse, file: string) => void>> = {}
  before(async () => {
    server = createServer((request, response) => {
      const path = request.url!.slice(1)
      requests.push(path)
      const file = path.startsWith('trained/') ? join(trained, path.slice(8)) : join(golden, path)
      const fault = faults[path]
      if (fault) return fault(response, file)
      if (!existsSync(file)) return response.writeHead(404).end()
      createReadStream(file).pipe(response.writeHead(200))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  beforeEach(() => {
    requests = []
    faults = {}
  })

  it('is what the folder is, in one file or in shards', async () => {
    for (const name of ['v10', 'bfloat16', 'sharded']) {
      const files = await fetchCheckpointFiles(`${origin}/${name}`)
      assert.deepEqual(fromCheckpointFiles(files, name), await readCheckpointFolder(join(golden, name)), name)
    }
  })

  it('opens with its tokenizer and its calibration, from a URL however it ends', async () => {
    for (const url of [`${origin}/trained`, `${origin}/trained/`, new URL('/trained/', origin)]) {
      const { config, tokenizer, calibration } = await fetchCheckpoint(url, { shallowLayers: 3 })
      assert.equal(config.shallowLayers, 3)
      assert.deepEqual(tokenizer.encode('Guten Morgen.').at(-1), config.eosId)
      assert.equal(calibration?.shallowLayers, 2)
    }
    await assert.rejects(fetchCheckpoint(`${origin}/v10`), { code: 'checkpoint.no-tokenizer' })
  })

  it('asks for no weights where the config is missing', async () => {
    const expected = {
      code: 'checkpoint.missing-file',
      details: { source: `${origin}/none`, name: 'config.json' },
    }
    await assert.rejects(fetchCheckpointFiles(`${origin}/none/`), expected)
    assert.ok(requests.length > 0 && !requests.some((path) => path.includes('safetensors')), requests.join())
  })

  it('names the file that is missing, also where the server has a page for every path', async () => {
    const page = (response: ServerResponse) =>
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html>')
    const shard = 'model-00003-of-00004.safetensors'
    for (const [name, path] of [
      ['model.safetensors', 'v10/model.safetensors'],
      [shard, `sharded/${shard}`],
    ]) {
      faults = { [path]: (response) => response.writeHead(404).end() }
      const expected = { code: 'checkpoint.missing-file', message: new RegExp(`a file ${name}`) }
      await assert.rejects(fetchCheckpointFiles(`${origin}/${path.split('/')[0]}`), expected)
    }
    faults = Object.fromEntries(CHECKPOINT_FILES.map((name) => [`v10/${name}`, page]))
    await assert.rejects(fetchCheckpointFiles(`${origin}/v10`), { code: 'checkpoint.missing-file' })
  })

  it('says which URL failed, and how: a status, a connection that broke, no server', async () => {
    const url = `${origin}/v10/model.safetensors`
    const rejects = (message: RegExp) =>
      assert.rejects(fetchCheckpointFiles(`${origin}/v10`), (error: Error & { code: string }) => {
        assert.deepEqual([error.code, error.message.startsWith(url)], ['checkpoint.unreadable', true])
        assert.match(error.message, message)
        return true
      })
    faults = { 'v10/model.safetensors': (response) => response.writeHead(503).end('busy') }
    await rejects(/status 503/)
    faults = {
      'v10/model.safetensors': (response) => {
        response.writeHead(200, { 'content-length': 1000 })
        response.write(Buffer.alloc(10), () => response.destroy())
      },
    }
    await rejects(/could not be read/)
    const failed = new TypeError('Failed to fetch')
    await assert.rejects(fetchCheckpointFiles('/here', { fetch: () => Promise.reject(failed) }), {
      code: 'checkpoint.unreadable',
      message: /^\/here\/\w+\.json could not be read: Failed to fetch$/,
      cause: failed,
      kind: 'failure',
    })
  })

  it('does not read on where a file is beyond any sense', async () => {
    let isClosed = false
    faults = {
      'v10/config.json': (response) => {
        response.on('close', () => (isClosed = true))
        const more = () => void (response.destroyed || response.write(Buffer.alloc(2 ** 20), more))
        more()
      },
    }
    const expected = { code: 'checkpoint.too-large', details: { path: `${origin}/v10/config.json` } }
    await assert.rejects(fetchCheckpointFiles(`${origin}/v10`), ({ code, details }) => {
      assert.deepEqual([code, details.path], [expected.code, expected.details.path])
      return details.sizeBytes > 16e6 && details.sizeBytes < 20e6
    })
    while (!isClosed) await new Promise((resolve) => setTimeout(resolve, 5))
  })

  it('stops when it is told to, between files and within one', async () => {
    const reason = new Error('enough')
    const aborted = AbortSignal.abort(reason)
    await assert.rejects(fetchCheckpointFiles(`${origin}/v10`, { signal: aborted }), reason)
    // Also where an own fetch does not look at the signal.
    const fetch = (url: string) => Promise.resolve(new Response(`${requests.push(url)}`))
    await assert.rejects(fetchCheckpointFiles('/here', { signal: aborted, fetch }), reason)
    assert.deepEqual(requests, [])
    const controller = new AbortController()
    const { signal } = controller
    const onProgress = ({ file }: FetchProgress) => {
      if (file === 'model.safetensors') controller.abort(reason)
    }
    await assert.rejects(fetchCheckpointFiles(`${origin}/trained`, { signal, onProgress }), reason)
  })

  it('tells how far it is, and of how much where that is known', async () => {
    const sizeOf = (name: string) => readFileSync(join(trained, name)).length
    const compressed = (response: ServerResponse, file: string) => {
      const body = gzipSync(readFileSync(file))
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length }).end(body)
    }
    const plain = (response: ServerResponse, file: string) => {
      const body = readFileSync(file)
      response.writeHead(200, { 'content-length': body.length }).end(body)
    }
    faults = { 'trained/tokenizer.json': compressed, 'trained/model.safetensors': plain }
    const told = new Map<string, FetchProgress[]>()
    await fetchCheckpointFiles(`${origin}/trained`, {
      onProgress: (progress) => told.set(progress.file, [...(told.get(progress.file) ?? []), progress]),
    })
    assert.deepEqual([...told.keys()].sort(), [...CHECKPOINT_FILES].sort())
    for (const [file, steps] of told) {
      assert.equal(steps.at(-1)!.doneBytes, sizeOf(file), file)
      assert.ok(
        steps.every(({ doneBytes }, i) => doneBytes > (steps[i - 1]?.doneBytes ?? 0)),
        file,
      )
      const isKnown = file === 'model.safetensors'
      assert.equal(steps.at(-1)!.totalBytes, isKnown ? sizeOf(file) : null, file)
      if (isKnown) assert.ok(steps.length > 1 && steps.every(({ totalBytes }) => totalBytes === sizeOf(file)))
    }
  })
})
