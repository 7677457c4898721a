// Inputs of the data tests: bytes cut into chunks, and files in a folder of their own that goes when the tests end.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The bytes in chunks of at most `size`. */
export async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer, void, undefined> {
  await Promise.resolve()
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

/** Writes files into a temporary folder, which the suite that calls this removes at its end. */
export function temporaryFiles(): (name: string, content: string | Buffer) => string {
  let folder: string | undefined
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true })
  })
  return (name, content) => {
    folder ??= mkdtempSync(join(tmpdir(), 'shallowdeep-data-'))
    const path = join(folder, name)
    writeFileSync(path, content)
    return path
  }
}
