// Where environments, models and what is made from them are kept: the user's cache folder. Each is there whole or not at all.
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cacheFolder } from '../../src/pipeline/index.node.js'

/** The folder of the peers' benchmarks; removing it makes everything anew at the next use. */
export function peersFolder(): string {
  return join(cacheFolder(), 'peers')
}

/** Makes a folder unless it is there: `make` is given another name, which is renamed when it has returned. */
export async function makeOnce(folder: string, make: (temporary: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return
  const temporary = `${folder}.making`
  await rm(temporary, { recursive: true, force: true })
  await mkdir(dirname(folder), { recursive: true })
  await make(temporary)
  await rename(temporary, folder)
}
