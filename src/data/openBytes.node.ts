// The bytes of a data file, streamed; gzip is known by its first bytes, whatever the file is called.
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createGunzip } from 'node:zlib'
import { ShallowDeepError } from '../errors.js'

/**
 * Streams a file's bytes, unpacked, without a byte order mark. Throws `data.missing-file`, `data.unreadable-file` (a
 * folder, no permission), `data.bad-gzip` (cut short or damaged), `data.not-utf8` (begins as UTF-16 does).
 */
export async function* openBytes(path: string): AsyncGenerator<Buffer, void, undefined> {
  const isGzip = await beginsAsGzip(path)
  const file = createReadStream(path, { highWaterMark: 1 << 18 })
  const gunzip = isGzip ? createGunzip({ chunkSize: 1 << 18 }) : undefined
  if (gunzip !== undefined) {
    file.on('error', (error) => gunzip.destroy(error))
    file.pipe(gunzip)
  }
  let isFirst = true
  try {
    for await (const chunk of (gunzip ?? file) as AsyncIterable<Buffer>) {
      yield isFirst ? withoutByteOrderMark(chunk, path) : chunk
      isFirst = false
    }
  } catch (error) {
    throw isGzip && isZlibError(error) ? gzipError(path, error) : error
  } finally {
    file.destroy()
    gunzip?.destroy()
  }
}

async function beginsAsGzip(path: string): Promise<boolean> {
  const absolute = resolve(path)
  try {
    const handle = await open(path, 'r')
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0)
      return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b
    } finally {
      await handle.close()
    }
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new ShallowDeepError({
      code: isMissing ? 'data.missing-file' : 'data.unreadable-file',
      message: isMissing
        ? `no data file at ${absolute}`
        : `the data file ${absolute} can't be read: ${(cause as Error).message}`,
      hint: isMissing
        ? 'check the path; it is taken from the current folder'
        : 'name a file that can be read',
      details: { path: absolute },
      cause,
    })
  }
}

/** The first chunk of a file holds more than a byte order mark, unless the file itself is that short. */
function withoutByteOrderMark(chunk: Buffer, path: string): Buffer {
  if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) return chunk.subarray(3)
  if ((chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff)) {
    throw new ShallowDeepError({
      code: 'data.not-utf8',
      message: `${path}: expected UTF-8, but the file begins with the byte order mark of UTF-16`,
      hint: 'save the file as UTF-8',
      details: { path },
    })
  }
  return chunk
}

function isZlibError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}

function gzipError(path: string, cause: NodeJS.ErrnoException): ShallowDeepError {
  const isShort = cause.code === 'Z_BUF_ERROR'
  return new ShallowDeepError({
    code: 'data.bad-gzip',
    message: `${path}: the gzip data ${isShort ? 'ends too early' : `is damaged (${cause.message})`}`,
    hint: 'copy or download the file again',
    details: { path },
    cause,
  })
}
