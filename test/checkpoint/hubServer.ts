// A small server on loopback that answers the hub's client as the hub does: a model's commit, its files with their hashes,
// and ranges of the files. It can break off, change and ignore what it should not.
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Faults to be had; each may be changed while the server runs. */
export interface Faults {
  /** Breaks the connection after so many bytes of this file's content. */
  breakOff?: { readonly name: string; readonly afterBytes: number }
  /** Answers requests for ranges with the whole file. */
  ignoresRanges?: boolean
  /** Sends another content of the same size for this file. */
  corrupts?: string
  /** Answers everything with this status. */
  status?: number
}

/** A hub of one model. */
export interface HubServer {
  readonly url: string
  readonly commit: string
  readonly faults: Faults
  /** Contents that were asked for, as `name from-to`; probes of one byte are left out. */
  readonly requests: string[]
  /** Token of the last request. */
  readonly lastToken: () => string | undefined
  close(): Promise<void>
}

/** Starts a hub that has the model `id` with these files; those named in `large` are stored as large files (by SHA-256). */
export async function startHub(
  id: string,
  files: ReadonlyMap<string, Buffer>,
  large: ReadonlySet<string>,
): Promise<HubServer> {
  const commit = createHash('sha1')
    .update([...files.keys()].join())
    .digest('hex')
  const faults: Faults = {}
  const requests: string[] = []
  let token: string | undefined
  const server = createServer((request, response) => {
    token = request.headers.authorization
    const { pathname } = new URL(request.url!, 'http://x')
    if (faults.status !== undefined) return sendJson(response, { error: 'no' }, faults.status)
    if (pathname.startsWith(`/api/models/${id}/revision/`)) {
      const revision = decodeURIComponent(pathname.slice(`/api/models/${id}/revision/`.length))
      if (!['main', 'v1', 'refs/pr/1', commit].includes(revision)) {
        return sendJson(response, { error: 'Invalid rev id' }, 404)
      }
      return sendJson(response, { _id: 'x', id, sha: commit, lastModified: '2026-01-01T00:00:00.000Z' })
    }
    if (pathname === `/api/models/${id}/tree/${commit}`) return sendJson(response, listFiles(files, large))
    const content = files.get(pathname.replace(`/${id}/resolve/${commit}/`, ''))
    if (!content) return sendJson(response, { error: 'Repository not found' }, 404)
    sendContent(request, response, pathname.split('/').at(-1)!, content)
  })

  function sendContent(
    request: IncomingMessage,
    response: ServerResponse,
    name: string,
    content: Buffer,
  ): void {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    const isProbe = range !== null && range[2] === '0'
    const isWhole = range === null || (faults.ignoresRanges === true && !isProbe)
    const [begin, end] = isWhole ? [0, content.length] : [Number(range![1]), Number(range![2]) + 1]
    let body = content.subarray(begin, end)
    if (faults.corrupts === name) body = Buffer.from(body.map((byte) => byte ^ 1))
    response.writeHead(isWhole ? 200 : 206, {
      etag: `"${name}"`,
      'content-length': body.length,
      ...(!isWhole && { 'content-range': `bytes ${begin}-${end - 1}/${content.length}` }),
    })
    if (!isProbe) requests.push(`${name} ${begin}-${end}`)
    const { breakOff } = faults
    if (!isProbe && breakOff?.name === name && breakOff.afterBytes < body.length) {
      response.write(body.subarray(0, breakOff.afterBytes), () => setTimeout(() => response.destroy(), 50))
    } else response.end(body)
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commit,
    faults,
    requests,
    lastToken: () => token,
    close() {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function sendJson(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function listFiles(files: ReadonlyMap<string, Buffer>, large: ReadonlySet<string>): unknown[] {
  return [...files].map(([path, content]) => {
    const size = content.length
    const oid = createHash('sha1').update(`blob ${size}\0`).update(content).digest('hex')
    const sha256 = createHash('sha256').update(content).digest('hex')
    return {
      type: 'file',
      path,
      size,
      oid,
      ...(large.has(path) && { lfs: { oid: sha256, size, pointerSize: 130 } }),
    }
  })
}
