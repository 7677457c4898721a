// Makes the native backend current for a group of tests, or skips it with the reason where none is built.
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { findNativeBuilds, nativeFolder } from '../../src/engines/tfjs/native.node.js'

/** To be given to mocha's `before`. */
export async function useNative(this: Mocha.Context): Promise<void> {
  const isBuilt = findNativeBuilds().some(({ kind, bindingFile }) => kind === 'node' && bindingFile !== null)
  if (!isBuilt) {
    process.stderr.write(`skipped: no native build in ${nativeFolder()} (npm run setup:native makes one)\n`)
    this.skip()
  }
  await chooseBackend({ backend: 'node' })
}
