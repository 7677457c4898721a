// The shape of a shallow-deep T5 and its mapping to the Hugging Face ecosystem's config.json (layouts of transformers
// 4 and 5). The only place where snake_case keys occur.
import { z } from 'zod'
import { parseConfig } from './parse.js'

const positive = z.number().int().positive()

/** Schema of {@link ModelConfig}. Layers are counts; widths are in numbers of floats. */
export const modelConfigSchema = z
  .strictObject({
    vocabSize: positive.describe('vocabulary size V'),
    dModel: positive.describe('model width D'),
    numHeads: positive.describe('attention heads H'),
    dKv: positive.describe('width of one head K; H * K need not equal D'),
    dFf: positive.describe('feed-forward width F'),
    encoderLayers: positive.describe('encoder layers'),
    decoderLayers: positive.describe('decoder layers L'),
    shallowLayers: positive.describe('the shallow exit comes after this many decoder layers, S < L'),
    feedForward: z
      .enum(['relu', 'gated-gelu'])
      .default('relu')
      .describe('relu (v1.0) or gated-gelu (v1.1, tanh form)'),
    tieEmbeddings: z.boolean().default(true).describe('the output head is the embedding'),
    scaleLogits: z
      .boolean()
      .default(true)
      .describe('multiply the state by dModel^-0.5 before the head (v1.0)'),
    relativeBuckets: positive.default(32).describe('buckets of the relative position bias'),
    relativeMaxDistance: positive
      .default(128)
      .describe('distance from which on all positions share a bucket'),
    dropout: z.number().min(0).lt(1).default(0.1).describe('dropout rate while training'),
    layerNormEpsilon: z.number().positive().default(1e-6),
    padId: z.number().int().nonnegative().default(0),
    eosId: z.number().int().nonnegative().default(1),
    decoderStartId: z.number().int().nonnegative().default(0),
    confidenceHead: z
      .boolean()
      .default(false)
      .describe('a head on the shallow state that learns when the shallow exit agrees with the deep one'),
  })
  .refine((config) => config.shallowLayers < config.decoderLayers, {
    path: ['shallowLayers'],
    message: 'must be less than decoderLayers: the shallow exit comes before the last layer',
  })

/** The shape of a shallow-deep T5. */
export type ModelConfig = Readonly<z.infer<typeof modelConfigSchema>>

/** Checks and completes a model configuration. Throws `config.*` with all problems in one report. */
export function parseModelConfig(value: unknown, source: string): ModelConfig {
  return parseConfig(modelConfigSchema, value, source)
}

/** What a Hugging Face config.json may hold of interest here. */
const huggingFaceSchema = z.looseObject({
  model_type: z.string().optional(),
  vocab_size: positive,
  d_model: positive,
  num_heads: positive,
  d_kv: positive,
  d_ff: positive,
  num_layers: positive,
  num_decoder_layers: positive.nullish(),
  shallow_layers: positive.optional(),
  shallow_confidence_head: z.boolean().default(false),
  feed_forward_proj: z.string().default('relu'),
  tie_word_embeddings: z.boolean().optional(),
  scale_decoder_outputs: z.boolean().optional(),
  relative_attention_num_buckets: positive.default(32),
  relative_attention_max_distance: positive.default(128),
  dropout_rate: z.number().min(0).lt(1).default(0.1),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  pad_token_id: z.number().int().nonnegative().default(0),
  eos_token_id: z.number().int().nonnegative().default(1),
  decoder_start_token_id: z.number().int().nonnegative().nullish(),
})

/**
 * Reads a Hugging Face config.json. Whether the head is tied is decided by the weights in the reference implementation,
 * so the caller says it (`hasHead`: `lm_head.weight` is present and differs from the embedding).
 * `shallowLayers`: used where the file has no `shallow_layers` of ours; default half of the decoder.
 */
export function fromHuggingFace(
  value: unknown,
  source: string,
  options: { readonly hasHead: boolean; readonly shallowLayers?: number },
): ModelConfig {
  const json = parseConfig(huggingFaceSchema, value, source)
  const decoderLayers = json.num_decoder_layers ?? json.num_layers
  return parseModelConfig(
    {
      vocabSize: json.vocab_size,
      dModel: json.d_model,
      numHeads: json.num_heads,
      dKv: json.d_kv,
      dFf: json.d_ff,
      encoderLayers: json.num_layers,
      decoderLayers,
      shallowLayers:
        options.shallowLayers ?? json.shallow_layers ?? Math.max(1, Math.floor(decoderLayers / 2)),
      // "gated-gelu" means the tanh form in the reference, whatever dense_act_fn says in old files.
      feedForward: json.feed_forward_proj,
      tieEmbeddings: !options.hasHead,
      // transformers 5 keeps the scale apart from the tie; transformers 4 scaled where tied; mT5 never scales.
      scaleLogits:
        json.model_type !== 'mt5' && (json.scale_decoder_outputs ?? json.tie_word_embeddings !== false),
      relativeBuckets: json.relative_attention_num_buckets,
      relativeMaxDistance: json.relative_attention_max_distance,
      dropout: json.dropout_rate,
      layerNormEpsilon: json.layer_norm_epsilon,
      padId: json.pad_token_id,
      eosId: json.eos_token_id,
      decoderStartId: json.decoder_start_token_id ?? json.pad_token_id,
      confidenceHead: json.shallow_confidence_head,
    },
    source,
  )
}

/** Writes the config.json that the Hugging Face ecosystem reads, with our `shallow_*` beside its keys. */
export function toHuggingFace(config: ModelConfig): Record<string, unknown> {
  const gated = config.feedForward === 'gated-gelu'
  return {
    architectures: ['T5ForConditionalGeneration'],
    d_ff: config.dFf,
    d_kv: config.dKv,
    d_model: config.dModel,
    decoder_start_token_id: config.decoderStartId,
    dense_act_fn: gated ? 'gelu_new' : 'relu',
    dropout_rate: config.dropout,
    eos_token_id: config.eosId,
    feed_forward_proj: config.feedForward,
    is_encoder_decoder: true,
    is_gated_act: gated,
    layer_norm_epsilon: config.layerNormEpsilon,
    model_type: 't5',
    num_decoder_layers: config.decoderLayers,
    num_heads: config.numHeads,
    num_layers: config.encoderLayers,
    pad_token_id: config.padId,
    relative_attention_max_distance: config.relativeMaxDistance,
    relative_attention_num_buckets: config.relativeBuckets,
    scale_decoder_outputs: config.scaleLogits,
    ...(config.confidenceHead && { shallow_confidence_head: true }),
    shallow_layers: config.shallowLayers,
    tie_word_embeddings: config.tieEmbeddings,
    vocab_size: config.vocabSize,
  }
}
