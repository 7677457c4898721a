// The structure of src/: who imports whom, what may touch Node, and that the core bundles for a browser.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { ALLOWED_IMPORTS, reachableFrom, TENSOR_FREE } from '../eslint.config.js'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))
const UNRESTRICTED = new Set(['cli', 'serve'])

interface SourceFile {
  /** Relative to src/. */
  readonly path: string
  readonly imports: readonly string[]
}

const files: SourceFile[] = (readdirSync(SRC, { recursive: true }) as string[])
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8')
    const specifiers = text.matchAll(
      /^(?:import|export)\b[^'"]*?from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm,
    )
    return { path, imports: [...specifiers].map(([, a, b, c]) => a ?? b ?? c) }
  })

/** The top folder (or the file's own name) under src/. */
const folderOf = (path: string) => path.split('/')[0].replace(/\.ts$/, '')
/** Where a relative import leads, relative to src/. */
const target = (from: string, specifier: string) =>
  relative(SRC, resolve(SRC, dirname(from), specifier)).replace(/\.js$/, '.ts')
const isEntry = (path: string) => /^index(\.\w+)?\.ts$/.test(path)

describe('architecture', () => {
  it('finds the source', () => assert.ok(files.length > 50))

  it('imports follow the table', () => {
    const wrong = files.flatMap(({ path, imports }) => {
      const from = folderOf(path)
      if (UNRESTRICTED.has(from) || isEntry(path) || !path.includes('/')) return []
      const allowed = reachableFrom(from as keyof typeof ALLOWED_IMPORTS)
      return imports
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => folderOf(target(path, specifier)))
        .filter((to) => to !== from && !allowed.has(to))
        .map((to) => `${path} imports ${to}`)
    })
    assert.deepEqual(wrong, [])
  })

  it('every folder of src stands in the table', () => {
    const folders = new Set(files.filter(({ path }) => path.includes('/')).map(({ path }) => folderOf(path)))
    for (const folder of folders) assert.ok(folder in ALLOWED_IMPORTS || UNRESTRICTED.has(folder), folder)
  })

  it('other folders are imported through their index', () => {
    const wrong = files.flatMap(({ path, imports }) =>
      imports
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => target(path, specifier))
        .filter((to) => to.includes('/') && folderOf(to) !== folderOf(path))
        .filter((to) => !/\/index(\.node|\.tfjs)?\.ts$/.test(to))
        .map((to) => `${path} imports ${to}`),
    )
    assert.deepEqual(wrong, [])
  })

  it('has no cycles', () => {
    const edges = new Map(
      files.map(({ path, imports }) => [
        path,
        imports.filter((specifier) => specifier.startsWith('.')).map((specifier) => target(path, specifier)),
      ]),
    )
    const done = new Set<string>()
    const visit = (path: string, trail: readonly string[]): void => {
      assert.ok(!trail.includes(path), `cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`)
      if (done.has(path)) return
      for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
    for (const { path } of files) visit(path, [])
  })

  it('only *.node.ts, cli and serve import Node modules', () => {
    const builtins = new Set(builtinModules)
    const wrong = files.flatMap(({ path, imports }) => {
      if (path.endsWith('.node.ts') || UNRESTRICTED.has(folderOf(path))) return []
      return imports
        .filter((name) => name.startsWith('node:') || builtins.has(name))
        .map((name) => `${path}: ${name}`)
    })
    assert.deepEqual(wrong, [])
  })

  it('some folders never see a tensor library', () => {
    const wrong = files
      .filter(({ path }) => TENSOR_FREE.includes(folderOf(path)))
      .filter(({ imports }) => imports.some((name) => name.startsWith('@tensorflow/')))
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    )
  })

  it('the core bundles for a browser without any Node module or tensor library', async () => {
    const { metafile } = await build({
      entryPoints: [join(SRC, 'index.ts')],
      bundle: true,
      write: false,
      metafile: true,
      platform: 'browser',
      format: 'esm',
      logLevel: 'silent',
    })
    const inputs = Object.keys(metafile.inputs)
    assert.deepEqual(
      inputs.filter((path) => path.includes('@tensorflow') || path.endsWith('.node.ts')),
      [],
    )
    const external = Object.values(metafile.inputs).flatMap(({ imports }) =>
      imports.filter(({ external }) => external),
    )
    assert.deepEqual(
      external.map(({ path }) => path),
      [],
    )
  })
})
