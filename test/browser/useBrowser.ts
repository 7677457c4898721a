// A headless Chromium for a group of tests, and pages in it that note whatever goes wrong in them.
import assert from 'node:assert/strict'
import { chromium, type Browser, type Page } from 'playwright-core'
import { findBrowser } from './findBrowser.js'

/** A page at a URL of its own server. */
export interface WatchedPage {
  readonly page: Page
  /** URLs that were asked for, in order; those of blobs left out. */
  readonly requests: readonly string[]
  /** Workers that were started. */
  readonly numWorkers: () => number
  /** Closes the page, and fails where it wrote an error, lacked a file or asked another origin. */
  close(): Promise<void>
}

let isToldOf = false

/**
 * Registers the hooks that start and close a browser; without one, the tests are skipped with the reason, or fail where
 * SHALLOWDEEP_BROWSER is `required`. The returned function opens a page.
 */
export function useBrowser(args: readonly string[] = []): (url: string) => Promise<WatchedPage> {
  let browser: Browser | undefined
  before(async function () {
    const search = findBrowser(process.env)
    if ('reason' in search) {
      if (process.env.SHALLOWDEEP_BROWSER === 'required') throw new Error(search.reason)
      if (!isToldOf) process.stderr.write(`skipped: ${search.reason}\n`)
      isToldOf = true
      return this.skip()
    }
    // Without its sandbox, which it cannot have as root: it opens nothing but pages of these tests.
    browser = await chromium.launch({ executablePath: search.path, args: [...args], chromiumSandbox: false })
  })
  after(() => browser?.close())
  return async (url) => watch(await browser!.newPage(), url)
}

async function watch(page: Page, url: string): Promise<WatchedPage> {
  const { origin } = new URL(url)
  const requests: string[] = []
  const problems: string[] = []
  let numWorkers = 0
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`))
  page.on('worker', () => numWorkers++)
  page.on('request', (request) => {
    const target = request.url()
    if (/^(data:|blob:)/.test(target)) return
    requests.push(target)
    if (new URL(target).origin !== origin) problems.push(`asked another origin: ${target}`)
  })
  page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`))
  page.on('websocket', (socket) => problems.push(`opened a socket: ${socket.url()}`))
  await page.goto(url)
  return {
    page,
    requests,
    numWorkers: () => numWorkers,
    async close() {
      await page.close()
      assert.deepEqual(problems, [])
    },
  }
}
