// The model on TensorFlow.js: wasm, or another backend of the browser.
import { fetchCheckpoint, type FetchCheckpointOptions, type TextModel } from 'shallowdeep'
import {
  chooseBackend,
  createTfjsEngine,
  type BrowserBackendOptions,
  type TfjsEngineOptions,
} from 'shallowdeep/tfjs'

export async function openOnTfjs(
  checkpoint: string,
  {
    backend = 'wasm',
    threads,
    dtype,
    ...options
  }: Omit<BrowserBackendOptions, 'wasmPath'> & Pick<TfjsEngineOptions, 'dtype'> & FetchCheckpointOptions = {},
): Promise<TextModel> {
  const wasmPath = new URL('wasm/', document.baseURI).href
  const chosen = await chooseBackend({ backend, threads, wasmPath })
  const { config, weights, ...text } = await fetchCheckpoint(checkpoint, options)
  return { ...text, engine: createTfjsEngine({ config, weights, backend: chosen, dtype }) }
}
