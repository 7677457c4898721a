// Checkpoints on disk: canonical folders, training runs, and files replaced whole.
export { readCheckpointFolder, writeCheckpointFolder } from './folder.node.js'
export { fetchFromHub, isHubId } from './hub.node.js'
export type { HubOptions, HubProgress, HubSnapshot } from './hub.node.js'
export {
  checkPublishable,
  makeFolder,
  publishFolder,
  readIfPresent,
  removeLeftovers,
  replaceFile,
} from './publish.node.js'
export type { FolderContents } from './publish.node.js'
export * from './run.node.js'
export { openSafetensorsFile } from './safetensorsFile.node.js'
export type { OpenSafetensorsFile } from './safetensorsFile.node.js'
