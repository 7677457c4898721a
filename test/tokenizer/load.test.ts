// Tokenizers from files: found by name or folder, and refused in one line that says where it looked.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ShallowDeepError } from '../../src/errors.js'
import { readTokenizer } from '../../src/tokenizer/index.node.js'
import { readGoldenModel } from './golden.js'

describe('readTokenizer', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'shallowdeep-tokenizer-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  async function assertRefused(path: string, code: string, words: string): Promise<void> {
    await assert.rejects(readTokenizer(path), (error: unknown) => {
      assert.ok(error instanceof ShallowDeepError)
      assert.equal(error.code, code)
      assert.ok(error.message.includes(words), error.message)
      assert.doesNotMatch(error.message, /\n/)
      return true
    })
  }

  it('opens a file, and the file in a folder', async () => {
    const path = fileURLToPath(new URL('../golden/tokenizers/trained-unigram', import.meta.url))
    assert.equal((await readTokenizer(path)).vocabSize, 700)
    assert.equal((await readTokenizer(join(path, 'tokenizer.json'))).vocabSize, 700)
  })

  it('opens a spiece.model, with as many sentinels as the configuration beside it says', async () => {
    const models = join(folder, 'models')
    mkdirSync(models)
    const file = join(models, 'spiece.model')
    writeFileSync(file, readGoldenModel('unigram-t5'))
    assert.equal((await readTokenizer(file)).vocabSize, 1488)
    const config = join(models, 'tokenizer_config.json')
    writeFileSync(config, '{"extra_ids": 3}')
    assert.equal((await readTokenizer(models)).vocabSize, 1391)
    writeFileSync(config, '{"extra_ids": -1}')
    await assertRefused(models, 'tokenizer.invalid', 'extra_ids')
    writeFileSync(join(models, 'tokenizer.json'), '{}')
    await assertRefused(models, 'tokenizer.invalid', 'tokenizer.json') // comes first
  })

  it('refuses a file of a size that no vocabulary has', async () => {
    const file = join(folder, 'huge.json')
    writeFileSync(file, '')
    truncateSync(file, 2 ** 27 + 1)
    await assertRefused(file, 'tokenizer.too-large', '128 MiB')
  })

  it('says where it looked for a file that is not there', async () => {
    await assertRefused(join(folder, 'no.json'), 'tokenizer.missing-file', join(folder, 'no.json'))
    await assertRefused(folder, 'tokenizer.missing-file', join(folder, 'tokenizer.json'))
  })

  it('says what cannot be read', async () => {
    mkdirSync(join(folder, 'nested', 'tokenizer.json'), { recursive: true })
    await assertRefused(join(folder, 'nested'), 'tokenizer.unreadable-file', 'EISDIR')
  })

  it('refuses malformed JSON in one line', async () => {
    for (const text of ['', '{', '{"model":\n\n oops}', '\u0000']) {
      const file = join(folder, 'bad.json')
      writeFileSync(file, text)
      await assertRefused(file, 'tokenizer.invalid', `${file} is not a tokenizer.json: malformed JSON`)
    }
  })

  it('refuses JSON that is no tokenizer, naming the file', async () => {
    const file = join(folder, 'config.json')
    writeFileSync(file, '{"model_type": "t5"}')
    await assertRefused(file, 'tokenizer.invalid', file)
  })
})
