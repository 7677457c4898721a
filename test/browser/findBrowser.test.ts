// The search for a browser, on machines that are made up.
import assert from 'node:assert/strict'
import { delimiter, join } from 'node:path'
import { findBrowser } from './findBrowser.js'

const on =
  (...programs: string[]) =>
  (path: string) =>
    programs.includes(path)

describe('the search for a browser', () => {
  it('takes what the environment names, and nothing else in its place', () => {
    const elsewhere = on('/usr/bin/chromium', '/my/chrome')
    assert.deepEqual(findBrowser({ CHROMIUM: '/my/chrome', CHROME_PATH: '/other' }, elsewhere), {
      path: '/my/chrome',
    })
    assert.deepEqual(findBrowser({ CHROME_PATH: '/my/chrome' }, elsewhere), { path: '/my/chrome' })
    const wrong = findBrowser({ CHROMIUM: '/not/there', PATH: '/usr/bin' }, elsewhere)
    assert.deepEqual(wrong, { reason: 'CHROMIUM names /not/there, which is no program' })
  })

  it('goes through PATH in its order, then the usual places', () => {
    const PATH = ['/a', '/b'].join(delimiter)
    const inFolder = (folder: string, name: string) => join(folder, name)
    const found = findBrowser({ PATH }, on(inFolder('/b', 'chromium'), inFolder('/a', 'google-chrome')))
    assert.deepEqual(found, { path: inFolder('/a', 'google-chrome') })
    assert.deepEqual(findBrowser({ PATH, CHROMIUM: '' }, on('/snap/bin/chromium')), {
      path: '/snap/bin/chromium',
    })
  })

  it('says in one line where it looked and what to set', () => {
    const search = findBrowser({ PATH: '/a' }, on())
    assert.ok('reason' in search)
    assert.match(
      search.reason,
      /^no browser: [^\n]*google-chrome[^\n]*\/usr\/bin\/chromium[^\n]*set CHROMIUM/,
    )
  })
})
