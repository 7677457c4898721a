// Where a Chromium is on this machine: what the environment names, else the usual names and places.
import { existsSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const VARIABLES = ['CHROMIUM', 'CHROME_PATH']
const NAMES = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'chrome',
  'microsoft-edge',
]
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/opt/google/chrome/chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** A program, or one line that says where it was looked for. */
export type BrowserSearch = { readonly path: string } | { readonly reason: string }

/**
 * Looks for a Chromium. A program that the environment names is taken or nothing is: another one in its place would answer
 * a question that nobody asked.
 */
export function findBrowser(
  environment: Readonly<Record<string, string | undefined>>,
  isProgram: (path: string) => boolean = isFile,
): BrowserSearch {
  const variable = VARIABLES.find((name) => environment[name])
  if (variable !== undefined) {
    const path = environment[variable]!
    return isProgram(path) ? { path } : { reason: `${variable} names ${path}, which is no program` }
  }
  const folders = (environment.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const candidates = [...folders.flatMap((folder) => NAMES.map((name) => join(folder, name))), ...PLACES]
  const path = candidates.find(isProgram)
  if (path !== undefined) return { path }
  return {
    reason: `no browser: looked for ${NAMES.join(', ')} on PATH and for ${PLACES.join(', ')}; set CHROMIUM to one`,
  }
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile()
}
