// Measured costs of decoding as files: one for each engine, model shape and machine, in the user's cache folder. A file is
// replaced whole, so that a kill or a second process leaves a usable one; what is no good is measured anew, and a folder
// that cannot be written costs a measurement each time, never a failure.
import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { parseJsonObject } from '../checkpoint/index.js'
import { makeFolder, readIfPresent, removeLeftovers, replaceFile } from '../checkpoint/index.node.js'
import { parseConfig } from '../config/index.js'
import { ShallowDeepError, suggestNearest } from '../errors.js'
import { decodingCostsSchema, type DecodingCosts } from '../evaluation/index.js'

/** Everything that costs depend on, by name. */
export type CostsKey = Readonly<Record<string, string | number | boolean | readonly string[]>>

/** What a file holds. */
interface SavedCosts {
  readonly version: 1
  readonly key: CostsKey
  readonly costs: DecodingCosts
}

const savedCostsSchema: z.ZodType<SavedCosts> = z.strictObject({
  version: z.literal(1),
  key: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
  costs: decodingCostsSchema,
})

/** Far more than a file of costs has. */
const MOST_BYTES = 1 << 20

/** Where a system keeps what can be made again. */
export interface CachePlace {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly platform?: NodeJS.Platform
  readonly home?: string
}

/**
 * The user's cache folder of this program: SHALLOWDEEP_CACHE, else `shallowdeep` in XDG_CACHE_HOME or ~/.cache
 * (~/Library/Caches on macOS, LOCALAPPDATA on Windows). Neutral arguments: those of this process.
 */
export function cacheFolder({
  env = process.env,
  platform = process.platform,
  home = homedir(),
}: CachePlace = {}): string {
  if (env.SHALLOWDEEP_CACHE) return env.SHALLOWDEEP_CACHE
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'shallowdeep')
  if (platform === 'win32')
    return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'shallowdeep', 'Cache')
  // By the XDG base directory specification, a relative path there is to be ignored.
  const { XDG_CACHE_HOME: xdg } = env
  return join(xdg && isAbsolute(xdg) ? xdg : join(home, '.cache'), 'shallowdeep')
}

/** How costs are kept. */
export interface KeepCostsOptions {
  /** Neutral: {@link cacheFolder}. */
  readonly folder?: string
  /** Measures them; called only where none are kept. */
  readonly measure: () => Promise<DecodingCosts>
  /** Told, in one line each, of a file that is no good and of a folder that cannot be written. */
  readonly onWarning?: (text: string) => void
}

/** The costs that are kept under a key, else measured and then kept. Throws what `measure` throws. */
export async function keepCosts(
  key: CostsKey,
  { folder = cacheFolder(), measure, onWarning }: KeepCostsOptions,
): Promise<DecodingCosts> {
  const path = costsFile(folder, key)
  try {
    const kept = await readSaved(path)
    if (kept !== undefined && isDeepStrictEqual(kept.key, key)) return kept.costs
    if (kept !== undefined) onWarning?.(`${path} is of another machine or model: measured anew`)
  } catch (error) {
    onWarning?.(`${reasonOf(error)}: measured anew`)
  }
  const costs = await measure()
  try {
    await makeFolder(join(folder, 'costs'))
    await removeLeftovers(join(folder, 'costs'))
    await replaceFile(path, `${JSON.stringify({ version: 1, key, costs } satisfies SavedCosts, null, 2)}\n`)
  } catch (error) {
    onWarning?.(`measured costs are not kept: ${reasonOf(error)}`)
  }
  return costs
}

/** The file in a cache folder that holds the costs under a key, whether or not it is there. */
export function costsFile(folder: string, key: CostsKey): string {
  const sorted = Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1))
  const hash = createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16)
  return join(folder, 'costs', `${hash}.json`)
}

/**
 * Reads a file as it is kept; whatever machine and model its costs are of, they are taken. Throws
 * `evaluation.no-costs-file`, `checkpoint.*` for what is no JSON, and `config.*` for what is no file of costs.
 */
export async function readCosts(path: string): Promise<DecodingCosts> {
  const saved = await readSaved(path)
  if (saved !== undefined) return saved.costs
  const word = suggestNearest(path, ['off', 'measured'])
  throw new ShallowDeepError({
    code: 'evaluation.no-costs-file',
    message: `profit: expected off, measured or a file of measured costs; there is no file ${path}`,
    hint:
      word === undefined
        ? `what was measured is in ${join(cacheFolder(), 'costs')}`
        : `did you mean ${word}?`,
    details: { path },
  })
}

async function readSaved(path: string): Promise<SavedCosts | undefined> {
  const bytes = await readIfPresent(path, MOST_BYTES)
  return bytes && parseConfig(savedCostsSchema, parseJsonObject(bytes, path), path)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
