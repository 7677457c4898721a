// `npm run setup:browser`: a Chromium for the browser tests. Says which one is there, else installs Debian's package, which
// needs apt-get and root.
import { spawnSync } from 'node:child_process'
import { findBrowser } from '../test/browser/findBrowser.js'

const before = findBrowser(process.env)
if ('reason' in before) {
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'chromium']]) {
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const { status, error } = spawnSync('apt-get', ['-qq', ...args], { env: environment, encoding: 'utf8' })
    if (status === 0) continue
    console.error(`setup:browser: apt-get ${args[0]} failed${error ? `: ${error.message}` : ` (${status})`}`)
    console.error('hint: install a Chromium yourself, or set CHROMIUM to one')
    process.exit(1)
  }
}
const found = findBrowser(process.env)
console.log('path' in found ? `setup:browser: ${found.path}` : `setup:browser: ${found.reason}`)
process.exitCode = 'path' in found ? 0 : 1
