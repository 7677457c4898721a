// A checkpoint as the folder that the Hugging Face ecosystem expects: T5ForConditionalGeneration.from_pretrained and
// AutoTokenizer.from_pretrained load it as it is. Our own keys in config.json (shallow_layers) do not disturb them.
import {
  streamCheckpointFiles,
  toJsonText,
  type Checkpoint,
  type FileContent,
  type JsonObject,
  type StorageOptions,
} from '../checkpoint/index.js'
import type { ModelConfig } from '../config/index.js'
import { openTokenizer } from '../tokenizer/index.js'

/**
 * The files by name: those of a checkpoint, and beside them what tells generation and tokenizer their special tokens.
 * Throws what {@link streamCheckpointFiles} and {@link openTokenizer} throw; writing throws, too.
 */
export function toHuggingFaceFiles(
  { config, weights, tokenizerJson }: Checkpoint,
  { dtype }: StorageOptions,
): Map<string, FileContent> {
  const contents = { config, weights, ...(tokenizerJson && { tokenizerJson }) }
  const files = streamCheckpointFiles(contents, { dtype })
  files.set('generation_config.json', toJsonText(generationConfig(config)))
  if (tokenizerJson) files.set('tokenizer_config.json', toJsonText(tokenizerConfig(tokenizerJson)))
  return files
}

function generationConfig({ decoderStartId, eosId, padId }: ModelConfig): JsonObject {
  return { decoder_start_token_id: decoderStartId, eos_token_id: eosId, pad_token_id: padId }
}

/** T5's own tokenizer class would lay its rules over those of tokenizer.json; the plain one takes them as they are. */
function tokenizerConfig(tokenizerJson: JsonObject): JsonObject {
  const { idToPiece, padId, eosId, unkId } = openTokenizer(tokenizerJson, 'tokenizer.json')
  return {
    clean_up_tokenization_spaces: false,
    eos_token: idToPiece(eosId),
    pad_token: idToPiece(padId),
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(unkId !== undefined && { unk_token: idToPiece(unkId) }),
  }
}
