// Configuration files: what is read, and what each kind of broken file is answered with.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfigFile } from '../../src/config/index.node.js'
import { ShallowDeepError } from '../../src/errors.js'

describe('configuration files', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shallowdeep-config-'))
  })
  after(() => rm(folder, { recursive: true }))

  const write = async (name: string, text: string) => {
    const path = join(folder, name)
    await writeFile(path, text)
    return path
  }

  it('reads YAML and tells the lines of its keys', async () => {
    const path = await write(
      'a.yaml',
      '# comment\nbatchSize: 8\nexitWeighting: [1, 2]\n\nmaxPending: null\nthreshold: adaptive\n',
    )
    const file = await loadConfigFile(path)
    assert.deepEqual(file.values, {
      batchSize: 8,
      exitWeighting: [1, 2],
      maxPending: null,
      threshold: 'adaptive',
    })
    assert.deepEqual(['batchSize', 'maxPending', 'absent'].map(file.lineOf), [2, 5, undefined])
  })

  it('reads JSON, indented by tabs too, and tells the lines of its keys', async () => {
    const path = await write('a.json', JSON.stringify({ batchSize: 8, nested: [1, { a: 'b' }] }, null, '\t'))
    const file = await loadConfigFile(path)
    assert.deepEqual(file.values, { batchSize: 8, nested: [1, { a: 'b' }] })
    assert.equal(file.lineOf('nested'), 3)
  })

  it('takes an empty file for one without options', async () => {
    assert.deepEqual((await loadConfigFile(await write('empty.yaml', '# nothing\n'))).values, {})
  })

  const rejections: readonly [string, string, string, RegExp][] = [
    ['broken YAML', 'a: 1\nb: [1, 2\nc: 3\n', 'config.bad-syntax', /line [34], column \d+: [^\n]+$/],
    ['a key given twice', 'a: 1\na: 2\n', 'config.bad-syntax', /line 2, column 1: Map keys must be unique$/],
    ['an unknown tag', 'a: !secret x\n', 'config.bad-syntax', /line 1, column 4: /],
    ['a list', '- 1\n- 2\n', 'config.not-a-mapping', /got a list$/],
    ['a single word', 'fast\n', 'config.not-a-mapping', /got a string$/],
  ]
  for (const [name, text, code, message] of rejections) {
    it(`rejects ${name}`, async () => {
      const path = await write('bad.yaml', text)
      await assert.rejects(loadConfigFile(path), (error) => {
        assert(error instanceof ShallowDeepError)
        assert.equal(error.code, code)
        assert.match(error.message, message)
        return true
      })
    })
  }

  it('rejects a file that is not there, and a folder', async () => {
    await assert.rejects(loadConfigFile(join(folder, 'none.yaml')), { code: 'config.missing-file' })
    await assert.rejects(loadConfigFile(folder), { code: 'config.unreadable-file' })
  })
})
