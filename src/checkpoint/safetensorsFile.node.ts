// Safetensors files on disk, read by ranges: a file may be larger than memory, and larger than one buffer can be.
import { open, type FileHandle } from 'node:fs/promises'
import { ShallowDeepError } from '../errors.js'
import { hasErrorCode } from './publish.node.js'
import { openSafetensors } from './safetensors.js'
import type { ByteSource, SafetensorsReader } from './safetensors.js'

/** An open safetensors file; who opened it closes it. */
export interface OpenSafetensorsFile extends SafetensorsReader {
  /** Idempotent. */
  close(): Promise<void>
}

/**
 * Opens a safetensors file by its header alone; undefined where there is none. Throws `checkpoint.unreadable` and what
 * {@link openSafetensors} throws.
 */
export async function openSafetensorsFile(path: string): Promise<OpenSafetensorsFile | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw unreadable(path, error instanceof Error ? error.message : String(error), error)
  }
  let isOpen = true
  const close = async () => {
    if (isOpen) await handle.close()
    isOpen = false
  }
  try {
    const reader = await openSafetensors(await bytesOf(handle, path), path)
    return { ...reader, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function bytesOf(handle: FileHandle, path: string): Promise<ByteSource> {
  const found = await handle.stat()
  if (!found.isFile()) throw unreadable(path, 'it is no plain file')
  return {
    sizeBytes: found.size,
    async fill(target, position) {
      for (let done = 0; done < target.length;) {
        const { bytesRead } = await handle.read(target, done, target.length - done, position + done)
        if (bytesRead === 0) throw unreadable(path, 'it became shorter while it was read')
        done += bytesRead
      }
    },
  }
}

function unreadable(path: string, what: string, cause?: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.unreadable',
    message: `${path} could not be read: ${what}`,
    hint: 'may you read it, and does nobody write to it?',
    details: { path },
    cause,
    kind: 'failure',
  })
}
