// Bundles for a page, made as a user makes them: from the built package, by its name.
import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** The folder of the package. */
export const PACKAGE = fileURLToPath(new URL('../../', import.meta.url))

export interface Bundle {
  /** Contents by path from the site's root. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Modules that went into it. */
  readonly inputs: readonly string[]
  /** Modules that it would still import from elsewhere. */
  readonly external: readonly string[]
  readonly sizeBytes: number
}

/** Bundles modules of this package's folder; needs the package built (`npm run build`). */
export async function bundle(...entries: readonly string[]): Promise<Bundle> {
  if (!existsSync(join(PACKAGE, 'dist/index.js')))
    throw new Error('dist/ is missing: run npm run build first')
  const { outputFiles, metafile } = await build({
    absWorkingDir: PACKAGE,
    entryPoints: [...entries],
    entryNames: '[name]',
    outdir: '/',
    bundle: true,
    splitting: true,
    format: 'esm',
    minify: true,
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  return {
    files: new Map(outputFiles.map(({ path, contents }) => [`/${basename(path)}`, contents])),
    inputs: Object.keys(metafile.inputs),
    external: Object.values(metafile.outputs).flatMap(({ imports }) =>
      imports.filter(({ external }) => external).map(({ path }) => path),
    ),
    sizeBytes: outputFiles.reduce((sum, { contents }) => sum + contents.length, 0),
  }
}

/** What the pages of these tests and of the example take from folders: the checkpoint, and the runtimes' wasm. */
export const FOLDERS = [
  ['/checkpoint/', join(PACKAGE, 'checkpoints/translation-de-en')],
  ['/wasm/', dirname(fileURLToPath(import.meta.resolve('@tensorflow/tfjs-backend-wasm')))],
  ['/wasm/', dirname(fileURLToPath(import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')))],
] as const
