// An export for tfjs in a page: what tf.loadLayersModel fetches and computes there is what Node computes.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs'
import { exportOptionsSchema } from '../../src/config/index.js'
import { chooseBackend } from '../../src/engines/tfjs/index.node.js'
import { registerLayers } from '../../src/model/index.js'
import { exportCheckpoint, fromTfjsFile } from '../../src/pipeline/index.node.js'
import { useTemporaryFolder } from '../checkpoint/temporaryFolder.js'
import { readParityCase } from '../golden/parity.js'
import { bundle, FOLDERS, PACKAGE } from './bundle.js'
import { startSite } from './siteServer.js'
import { useBrowser } from './useBrowser.js'

const PAGE = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>'

/** Logits in a page for a folder with an export, and the files of it that the page asked for. */
async function computeThere(
  openPage: ReturnType<typeof useBrowser>,
  folder: string,
  inputs: { readonly encoderTokens: number[][]; readonly decoderTokens: number[][] },
): Promise<{ readonly exits: number[][]; readonly requests: readonly string[] }> {
  const { files } = await bundle('test/browser/page.ts')
  const site = await startSite({
    files: new Map<string, string | Uint8Array>([...files, ['/index.html', PAGE]]),
    folders: [...FOLDERS, ['/export/', folder]],
  })
  try {
    const { page, requests, close } = await openPage(site.url)
    const request = { url: 'export/model.json', ...inputs }
    const exits = await page.evaluate((given) => globalThis.pageOfTests.runLayersModel(given), request)
    await close()
    return { exits, requests: requests.filter((url) => url.includes('/export/')) }
  } finally {
    site.close()
  }
}

async function computeHere(folder: string, inputs: readonly number[][][]): Promise<number[][]> {
  const model = await tf.loadLayersModel(fromTfjsFile(join(folder, 'model.json')))
  const tensors = inputs.map((rows) => tf.tensor2d(rows, undefined, 'int32'))
  const exits = model.predict(tensors) as tf.Tensor[]
  const logits = exits.map((exit) => [...exit.dataSync()])
  tf.dispose([...tensors, ...exits])
  model.weights.forEach((weight) => weight.dispose())
  return logits
}

function assertClose(
  actual: readonly number[][],
  expected: readonly ArrayLike<number>[],
  what: string,
): void {
  for (const [exit, logits] of expected.entries()) {
    assert.equal(actual[exit].length, logits.length, what)
    for (let i = 0; i < logits.length; i++) {
      const isClose = Math.abs(actual[exit][i] - logits[i]) <= 1e-4 * (1 + Math.abs(logits[i]))
      if (!isClose) assert.fail(`${what}, exit ${exit}, ${i}: ${actual[exit][i]}, not ${logits[i]}`)
    }
  }
}

describe('an export for tfjs in a browser', () => {
  const openPage = useBrowser()
  const temporary = useTemporaryFolder()
  before(async () => {
    await chooseBackend({ backend: 'wasm' })
    registerLayers()
  })

  async function exportIt(checkpoint: string): Promise<string> {
    const output = temporary('export')
    await exportCheckpoint(exportOptionsSchema.parse({ checkpoint, output, format: 'tfjs' }))
    return output
  }

  it("gives the reference's logits at both exits, and those of Node", async () => {
    const { model, batches, expected } = readParityCase('v11')
    const folder = await exportIt(fileURLToPath(new URL('../golden/t5-parity/v11', import.meta.url)))
    const [{ name, input_ids: encoderTokens, decoder_input_ids: decoderTokens }] = batches
    const { exits } = await computeThere(openPage, folder, { encoderTokens, decoderTokens })
    const reference = [`shallow_logits.${model.config.shallowLayers}`, 'logits']
    assertClose(
      exits,
      reference.map((tensor) => expected.get(`${name}.${tensor}`)!.data),
      'reference',
    )
    assertClose(exits, await computeHere(folder, [encoderTokens, decoderTokens]), 'Node')
  })

  it('comes in several shards, each asked for once, from its own origin', async () => {
    const folder = await exportIt(join(PACKAGE, 'checkpoints/translation-de-en'))
    const inputs = { encoderTokens: [[37, 400, 12, 3, 1]], decoderTokens: [[0, 55, 700]] }
    const { exits, requests } = await computeThere(openPage, folder, inputs)
    assertClose(exits, await computeHere(folder, [inputs.encoderTokens, inputs.decoderTokens]), 'Node')
    const shards = requests.filter((url) => url.endsWith('.bin'))
    assert.ok(shards.length > 1 && new Set(shards).size === shards.length, shards.join())
  })
})
