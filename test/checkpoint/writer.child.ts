// A process that writes checkpoints in a loop until it is killed; run as a program, bundled, by killing.ts.
// Arguments: `run` or `folder`, the path, and the number of the file operation before which it kills itself (0: never).
// Prints `begin <n>` before and `done <n>` after write n, and with a number given `operations <count>` after one write.
import { writeSync } from 'node:fs'
import fs from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { openRun, readCheckpointFolder, writeCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { ShallowDeepError } from '../../src/errors.js'
import { constantCheckpoint, KEEP_LAST, runFiles } from './writerContents.js'

const [kind, path, dieAt] = process.argv.slice(2)
const isCounting = dieAt !== undefined
let numOperations = 0

/** Counts what changes the file system, and dies before the operation that was asked for. */
function count(): void {
  numOperations++
  if (numOperations !== Number(dieAt)) return
  process.kill(process.pid, 'SIGKILL')
  for (;;);
}

function countOperations(): void {
  const { mkdir, open, rename, rm } = fs
  let handlePrototype: FileHandle | undefined
  const patched = {
    mkdir: (...args: Parameters<typeof mkdir>) => (count(), mkdir(...args)),
    rename: (...args: Parameters<typeof rename>) => (count(), rename(...args)),
    rm: (...args: Parameters<typeof rm>) => (count(), rm(...args)),
    open: async (...args: Parameters<typeof open>) => {
      count()
      const handle = await open(...args)
      if (!handlePrototype) {
        handlePrototype = Object.getPrototypeOf(handle) as FileHandle
        const { sync, writeFile } = handlePrototype
        handlePrototype.sync = function () {
          count()
          return sync.call(this)
        }
        handlePrototype.writeFile = function (...writeArgs) {
          count()
          return writeFile.apply(this, writeArgs)
        }
      }
      return handle
    },
  }
  Object.assign(fs, patched)
  syncBuiltinESMExports()
}

async function nextOfFolder(): Promise<number> {
  try {
    return ((await readCheckpointFolder(path)).calibration?.['value'] as number) + 1
  } catch (error) {
    if (error instanceof ShallowDeepError && error.code === 'checkpoint.missing-folder') return 0
    throw error
  }
}

async function makeWriter(): Promise<{ first: number; write: (n: number) => Promise<void> }> {
  if (kind === 'folder') {
    return {
      first: await nextOfFolder(),
      write: (n) => writeCheckpointFolder(path, constantCheckpoint(n), { overwrite: true }),
    }
  }
  const run = await openRun(path, { keepLast: KEEP_LAST })
  return {
    first: (run.checkpoints().at(-1)?.step ?? -1) + 1,
    write: (n) => run.save({ step: n, files: runFiles(n), best: n % 3 === 0 }),
  }
}

const { first, write } = await makeWriter()
if (isCounting) countOperations()
for (let n = first; ; n++) {
  writeSync(1, `begin ${n}\n`)
  await write(n)
  writeSync(1, `done ${n}\n`)
  if (isCounting) {
    writeSync(1, `operations ${numOperations}\n`)
    break
  }
}
