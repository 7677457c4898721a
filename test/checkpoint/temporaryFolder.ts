// A folder for one test file's checkpoints, made before its tests and removed after them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Registers the hooks; the returned function makes a path inside that no other call returns. */
export function useTemporaryFolder(): (name: string) => string {
  let root = ''
  let count = 0
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'shallowdeep-checkpoint-'))
  })
  after(() => rmSync(root, { recursive: true, force: true }))
  return (name) => join(root, `${count++}`, name)
}
