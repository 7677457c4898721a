// The built package in a page, bundled and served as a user would: it decodes what it decodes under Node, on both engines.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { readCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { readAllExamples } from '../../src/data/index.node.js'
import { parseDecodingOptions } from '../../src/config/index.js'
import { decodeAll } from '../../src/decoding/index.js'
import { createOnnxEngine } from '../../src/engines/onnx/index.js'
import { openText, policyFor, type TextModel } from '../../src/pipeline/index.js'
import { openCheckpoint } from '../../src/pipeline/index.node.js'
import { bundle, FOLDERS, PACKAGE, type Bundle } from './bundle.js'
import type { DecodedRow, DecodeOutcome, DecodeRequest } from './page.js'
import { startSite } from './siteServer.js'
import { useBrowser, type WatchedPage } from './useBrowser.js'

const POLICIES = {
  full: { policy: 'full' },
  free: { policy: 'free', threshold: 0.3 },
  lossless: { policy: 'lossless', threshold: 0.3 },
}
const PAGE = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>'

const CHECKPOINT = join(PACKAGE, 'checkpoints/translation-de-en')

/** What Node decodes. */
async function decodeHere(
  opening: Promise<TextModel>,
  sentences: readonly string[],
  policies: DecodeRequest['policies'],
): Promise<DecodeOutcome['rows']> {
  const model = await opening
  try {
    const sources = sentences.map((sentence) => model.tokenizer.encode(sentence))
    const rows: Record<string, DecodedRow[]> = {}
    for (const [name, json] of Object.entries(policies)) {
      const policy = policyFor(model, parseDecodingOptions(json, name))
      rows[name] = await decodeAll(model.engine, sources, { policy, maxNewTokens: 64 })
    }
    return rows
  } finally {
    model.engine.dispose()
  }
}

/** The model on onnxruntime-web under Node. */
async function openOnWeb(dtype: 'float32' | 'q4'): Promise<TextModel> {
  const { config, weights, ...text } = openText(await readCheckpointFolder(CHECKPOINT), CHECKPOINT)
  const runtime = await import('onnxruntime-web')
  return { ...text, engine: await createOnnxEngine({ config, weights, dtype, runtime }) }
}

/** Ids and exits equal; confidences, in which sums go in another order, within `bound`. */
function assertSameRows(actual: DecodeOutcome['rows'], expected: DecodeOutcome['rows'], bound: number): void {
  assert.deepEqual(Object.keys(actual), Object.keys(expected))
  for (const [policy, rows] of Object.entries(expected)) {
    assert.equal(actual[policy].length, rows.length)
    for (const [row, { tokens, exits, confidences }] of rows.entries()) {
      const found = actual[policy][row]
      assert.deepEqual([found.tokens, found.exits], [tokens, exits], `${policy}, sentence ${row}`)
      for (const [i, confidence] of confidences.entries()) {
        const difference = Math.abs((found.confidences[i] ?? NaN) - (confidence ?? NaN))
        const isSame = confidence === null ? found.confidences[i] === null : difference <= bound
        assert.ok(
          isSame,
          `${policy}, sentence ${row}, token ${i}: ${found.confidences[i]}, not ${confidence}`,
        )
      }
    }
  }
}

const countSame = (some: readonly DecodedRow[], others: readonly DecodedRow[]) =>
  some.filter(({ tokens }, row) => tokens.join() === others[row].tokens.join()).length

describe('the package in a browser', () => {
  const openPage = useBrowser()
  let bundled: Bundle
  let sentences: readonly string[]
  const sites: { readonly url: string; close(): void }[] = []
  before(async () => {
    bundled = await bundle('test/browser/page.ts')
    const files = new Map<string, string | Uint8Array>([...bundled.files, ['/index.html', PAGE]])
    for (const isIsolated of [false, true])
      sites.push(await startSite({ files, folders: FOLDERS, isIsolated }))
    const path = join(PACKAGE, 'datasets/translation_de_en/test.csv')
    const { examples } = await readAllExamples(path, { targetColumn: 'target_1,target_2', limit: 8 })
    sentences = examples.map(({ source }) => source)
  })
  after(() => sites.forEach((site) => site.close()))

  /** Does something in a page of its own that must have no errors, and tells of the page what the tests ask. */
  async function inPage<T>(
    { isIsolated }: { readonly isIsolated: boolean },
    act: (watched: WatchedPage) => Promise<T>,
  ): Promise<T> {
    const watched = await openPage(sites[Number(isIsolated)].url)
    try {
      assert.equal(await watched.page.evaluate('crossOriginIsolated'), isIsolated)
      return await act(watched)
    } finally {
      await watched.close()
    }
  }

  const decodeThere = ({ page }: WatchedPage, request: DecodeRequest) =>
    page.evaluate((given) => globalThis.pageOfTests.decode(given), request)

  it('bundles without any module of Node', () => {
    assert.deepEqual(bundled.external, [])
    const ofNode = bundled.inputs.filter((path) => path.startsWith('dist/') && path.endsWith('.node.js'))
    assert.deepEqual(ofNode, [])
    assert.ok(bundled.inputs.includes('dist/index.js') && bundled.inputs.includes('dist/index.tfjs.js'))
    for (const [path, contents] of bundled.files) {
      assert.doesNotMatch(Buffer.from(contents).toString(), /(from|import|require)\s*\(?\s*["']node:/, path)
    }
  })

  it('stays small, beside the wasm files', async () => {
    const [tfjs, onnx] = await Promise.all(
      ['tfjsModel', 'onnxModel'].map((name) => bundle(`docs/examples/browser/${name}.ts`)),
    )
    const sizes = [tfjs, onnx].map(({ sizeBytes }) => Math.ceil(sizeBytes / 1000))
    process.stderr.write(`      minified: with tfjs ${sizes[0]} kB, with onnx ${sizes[1]} kB\n`)
    assert.ok(sizes[0] < 2200 && sizes[1] < 700, sizes.join())
    assert.ok(!onnx.inputs.some((path) => path.includes('@tensorflow')))
  })

  it('decodes with tfjs on wasm what Node decodes', async () => {
    const expected = await decodeHere(openCheckpoint(CHECKPOINT, { backend: 'wasm' }), sentences, POLICIES)
    for (const isIsolated of [false, true]) {
      await inPage({ isIsolated }, async (watched) => {
        const engine = { backend: 'wasm' } as const
        const { info, rows } = await decodeThere(watched, { engine, sentences, policies: POLICIES })
        assert.deepEqual([info.engine, info.backend, info.threads], ['tfjs', 'wasm', 1])
        assertSameRows(rows, expected, 1e-4)
        // A start of tfjs that leaves workers behind would waste memory: it has one thread.
        assert.equal(watched.numWorkers(), 0)
        assert.ok(watched.requests.some((url) => url.endsWith('/wasm/tfjs-backend-wasm-simd.wasm')))
      })
    }
  })

  it('decodes with tfjs on wasm in 8 bits what Node decodes in 8 bits', async () => {
    const expected = await decodeHere(openCheckpoint(CHECKPOINT, { dtype: 'int8' }), sentences, POLICIES)
    await inPage({ isIsolated: false }, async (watched) => {
      const engine = { backend: 'wasm', dtype: 'int8' } as const
      const { info, rows } = await decodeThere(watched, { engine, sentences, policies: POLICIES })
      assert.deepEqual([info.backend, info.dtype], ['wasm', 'int8'])
      assertSameRows(rows, expected, 1e-4)
    })
  })

  it('refuses threads that tfjs does not have', async () => {
    await inPage({ isIsolated: true }, async (watched) => {
      const request = { engine: { backend: 'wasm' }, threads: 2, sentences: [], policies: {} } as const
      await assert.rejects(
        decodeThere(watched, request),
        /backend wasm has one thread here, but 2 were asked for/,
      )
    })
  })

  for (const dtype of ['float32', 'q4'] as const) {
    it(`decodes with ONNX Runtime in ${dtype} what Node decodes, with and without threads`, async () => {
      const native = openCheckpoint(CHECKPOINT, { engine: 'onnx', dtype, threads: 1 })
      const expected = {
        native: await decodeHere(native, sentences, POLICIES),
        web: await decodeHere(openOnWeb(dtype), sentences, POLICIES),
      }
      for (const isIsolated of [false, true]) {
        await inPage({ isIsolated }, async (watched) => {
          const request = { engine: { dtype }, threads: 2, sentences, policies: POLICIES }
          const { info, rows } = await decodeThere(watched, request)
          const threads = isIsolated ? 2 : 1
          assert.deepEqual(
            [info.engine, info.backend, info.dtype, info.threads],
            ['onnx', 'wasm', dtype, threads],
          )
          assert.equal(watched.numWorkers(), threads - 1)
          assertSameRows(rows, expected.web, 1e-4)
          if (dtype === 'float32') assertSameRows(rows, expected.native, 1e-4)
          // The two builds of the runtime round activations for its 4-bit kernel differently; choices that were close differ.
          else assert.ok(countSame(rows.full, expected.native.full) >= sentences.length - 2)
        })
      }
    })
  }

  describe('with a GPU that is computed on the processor', () => {
    const openWithWebgl = useBrowser(['--use-angle=swiftshader', '--enable-unsafe-swiftshader'])

    it('decodes with tfjs on webgl what Node decodes on wasm', async () => {
      const policies = { lossless: POLICIES.lossless }
      const [sentence] = sentences
      const expected = await decodeHere(openCheckpoint(CHECKPOINT, { backend: 'wasm' }), [sentence], policies)
      const watched = await openWithWebgl(sites[0].url)
      try {
        const request = { engine: { backend: 'webgl' }, sentences: [sentence], policies } as const
        const { info, rows } = await decodeThere(watched, request)
        assert.equal(info.backend, 'webgl')
        // Exponentials of the shading language are less exact.
        assertSameRows(rows, expected, 1e-3)
      } finally {
        await watched.close()
      }
    })
  })
})
