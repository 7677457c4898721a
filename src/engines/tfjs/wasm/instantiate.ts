// From the modules' text to what they export.
import { withSharedMemory } from './sharedMemory.js'

/** Modules' bytes, in the order in which each needs those before it, by the name that others know them by. */
export type ModuleBytes = Readonly<Record<string, Uint8Array<ArrayBuffer>>>

/** For a memory, shared with other threads or not. */
export function decodeModules(
  texts: Readonly<Record<string, string>>,
  memory: WebAssembly.Memory,
): ModuleBytes {
  const modules = Object.entries(texts).map(([name, text]) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
    return [name, isShared(memory) ? withSharedMemory(bytes) : bytes]
  })
  return Object.fromEntries(modules) as ModuleBytes
}

/** What all of them export, together. */
export function instantiate(modules: ModuleBytes, memory: WebAssembly.Memory): WebAssembly.Exports {
  const imports: WebAssembly.Imports = { tfjs: { memory } }
  for (const [name, bytes] of Object.entries(modules)) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports)
    imports[name] = exports as WebAssembly.ModuleImports
  }
  return Object.assign({}, ...Object.values(imports)) as WebAssembly.Exports
}

/** Pages that are not isolated have no such memories, nor a name for their buffers. */
export function isShared({ buffer }: WebAssembly.Memory): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer
}
