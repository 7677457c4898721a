// A site on loopback: files in memory and folders of this machine, with the headers that make a page isolated if asked.
import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'

export interface Site {
  /** Contents by path, such as `/index.html`. */
  readonly files?: ReadonlyMap<string, string | Uint8Array>
  /** Folders by the path that they are under, such as `/checkpoint/`; the first that has a file gives it. */
  readonly folders?: readonly (readonly [path: string, folder: string])[]
  /** Whether its pages may share memory between threads. */
  readonly isIsolated?: boolean
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
}

/** What these pages may do: take scripts, wasm and data from their own origin, and nothing from elsewhere. */
const POLICY =
  "default-src 'self'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self' blob: data:; img-src data:"

/** Starts a site; `url` is that of its front page. */
export async function startSite(site: Site): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://x').pathname.replace(/\/$/, '/index.html')
    const headers = {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
      ...(site.isIsolated && {
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      }),
    }
    const content = site.files?.get(path)
    if (content !== undefined) return void response.writeHead(200, headers).end(content)
    const file = (site.folders ?? [])
      .filter(([prefix]) => path.startsWith(prefix))
      .map(([prefix, folder]) => join(folder, path.slice(prefix.length)))
      .find((candidate) => existsSync(candidate))
    if (file === undefined || path.includes('..')) return void response.writeHead(404).end()
    createReadStream(file).pipe(response.writeHead(200, headers))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
