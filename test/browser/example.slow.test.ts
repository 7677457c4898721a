// The example page, used as a reader uses it: text in, coloured tokens and the translation out, on each engine.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { decodeAll, free, full, lossless, type Policy } from '../../src/decoding/index.js'
import { openCheckpoint } from '../../src/pipeline/index.node.js'
import { bundle, FOLDERS, PACKAGE } from './bundle.js'
import { startSite } from './siteServer.js'
import { useBrowser } from './useBrowser.js'

const EXAMPLE = join(PACKAGE, 'docs/examples/browser')
/** A text of which `lossless` takes tokens back. */
const TEXT = 'Morgen soll es den ganzen Vormittag regnen.'

/** Fills in the form, sends it, and waits until it is done. */
async function translate(page: Page, settings: Readonly<Record<string, string>>): Promise<void> {
  await page.fill('#text', TEXT)
  for (const [id, value] of Object.entries(settings)) await page.selectOption(`#${id}`, value)
  await page.click('#run')
  await page.waitForSelector('#stop[disabled]')
}

describe('the example page', () => {
  const openPage = useBrowser()
  let site: Awaited<ReturnType<typeof startSite>> | undefined
  before(async () => {
    const { files } = await bundle('docs/examples/browser/main.ts')
    const written = ['index.html', 'style.css'].map(
      (name) => [`/${name}`, readFileSync(join(EXAMPLE, name))] as const,
    )
    site = await startSite({ files: new Map<string, Uint8Array>([...files, ...written]), folders: FOLDERS })
  })
  after(() => site?.close())

  it('shows the tokens with their exits, and the text that became final, as Node has them', async () => {
    const model = await openCheckpoint(join(PACKAGE, 'checkpoints/translation-de-en'), { backend: 'wasm' })
    const { page, close } = await openPage(site!.url)
    const cases: readonly (readonly [engine: string, policy: string, make: () => Policy])[] = [
      ['tfjs', 'free', () => free(0.3)],
      ['tfjs', 'lossless', () => lossless(0.3)],
      ['float32', 'full', full],
      ['float32', 'free', () => free(0.3)],
    ]
    for (const [engine, policy, make] of cases) {
      await translate(page, { engine, policy })
      const [{ tokens, exits, retracted }] = await decodeAll(model.engine, [model.tokenizer.encode(TEXT)], {
        policy: make(),
      })
      const shown = await page.$$eval('#tokens li', (items) =>
        items.map(({ className, dataset }) => [className, Number(dataset.token)]),
      )
      assert.deepEqual(
        shown,
        tokens.map((token, i) => [`${exits[i]} final`, token]),
        `${engine} ${policy}`,
      )
      assert.equal(retracted > 0, policy === 'lossless')
      assert.equal(await page.textContent('#output'), model.tokenizer.decode([...tokens]))
      assert.match((await page.textContent('#status'))!, new RegExp(`^${tokens.length} tokens in \\d+ ms`))
    }
    model.dispose()
    await close()
  })
})
