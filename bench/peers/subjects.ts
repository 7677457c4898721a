// What is decoded: T5's small and base shapes with random weights, where every peer decodes as many tokens, and the shipped
// translation checkpoint with real sentences. Each is a folder as the Hugging Face ecosystem reads it, made once and kept.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { writeCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { exportOptionsSchema, type ModelConfig } from '../../src/config/index.js'
import { initialWeights } from '../../src/model/index.js'
import { exportCheckpoint, readEvaluationExamples } from '../../src/pipeline/index.node.js'
import { Random } from '../../src/random.js'
import type { Tokenizer } from '../../src/tokenizer/index.js'
import { readTokenizer } from '../../src/tokenizer/index.node.js'
import { shapeConfig } from '../decode/shapes.js'
import { peersFolder, makeOnce } from './cache.js'

/** Names of the subjects. */
export const SUBJECT_NAMES = ['small', 'base', 'translation'] as const

export type SubjectName = (typeof SUBJECT_NAMES)[number]

/** A model and what it is given. */
export interface Subject {
  readonly name: SubjectName
  /** Its checkpoint, and a name for what is made from exactly this one. */
  readonly folder: string
  readonly key: string
  readonly sources: readonly (readonly number[])[]
  readonly maxNewTokens: number
  /** Whether each output has exactly `maxNewTokens` tokens. */
  readonly isFixedLength: boolean
  /** How long to measure where nothing else is asked for: rounds, and sequences a turn (batch of one). */
  readonly rounds: number
  readonly sequencesPerTurn: number
  /** To score outputs with. Neutral: undefined, random weights say nothing. */
  readonly texts?: Texts
}

/** How outputs become texts, and what they should have been. */
export interface Texts {
  readonly tokenizer: Tokenizer
  /** Per source. */
  readonly references: readonly (readonly string[])[]
}

const SHAPES = { small: 't5-small', base: 't5-base' } as const
const EFFORT = {
  small: { rounds: 5, sequencesPerTurn: 2 },
  base: { rounds: 3, sequencesPerTurn: 1 },
  translation: { rounds: 5, sequencesPerTurn: 16 },
}

const SOURCE_LENGTH = 32
const NEW_TOKENS = 64
const NUM_SOURCES = 8
const SEED = 60
/** Part of the key: what was made by other rules is made anew. */
const RULES = 1

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const CHECKPOINT = join(ROOT, 'checkpoints/translation-de-en')
const SENTENCES = join(ROOT, 'datasets/translation_de_en/test.csv')

/** Makes a subject's checkpoint where it is not there yet. Throws what making and reading checkpoints throws. */
export function openSubject(name: SubjectName, log: (line: string) => void): Promise<Subject> {
  return name === 'translation' ? openTranslation(log) : openRandom(name, log)
}

async function openRandom(name: keyof typeof SHAPES, log: (line: string) => void): Promise<Subject> {
  const config = shapeConfig(SHAPES[name])
  const hash = createHash('sha256').update(JSON.stringify([RULES, SEED, config]))
  const key = `${name}-${hash.digest('hex').slice(0, 12)}`
  const folder = join(peersFolder(), 'models', key, 'checkpoint')
  await makeOnce(folder, async (output) => {
    log(`writing a checkpoint of T5-${name}'s shape, random weights`)
    await writeCheckpointFolder(output, { config, weights: variedWeights(config) })
  })
  const random = new Random(SEED + 1)
  const source = () =>
    Array.from(
      { length: SOURCE_LENGTH },
      () => config.eosId + 1 + random.integer(config.vocabSize - config.eosId - 1),
    )
  return {
    name,
    folder,
    key,
    sources: Array.from({ length: NUM_SOURCES }, source),
    maxNewTokens: NEW_TOKENS,
    isFixedLength: true,
    ...EFFORT[name],
  }
}

/**
 * Random weights whose outputs neither end nor stand still. The end of sequence has a row of zeros in the embedding: its
 * logit is 0, and the largest of so many others is above that. Fresh weights repeat the decoder's input: cross-attention
 * that says more than the embedding makes the output vary.
 */
function variedWeights(config: ModelConfig): ReturnType<typeof initialWeights> {
  const weights = initialWeights(config, SEED)
  for (const [name, { data }] of weights) {
    if (/crossAttention\.(query|output)$/.test(name)) for (let i = 0; i < data.length; i++) data[i] *= 8
  }
  const { eosId, dModel } = config
  weights.get('embedding')!.data.fill(0, eosId * dModel, (eosId + 1) * dModel)
  return weights
}

async function openTranslation(log: (line: string) => void): Promise<Subject> {
  const hash = createHash('sha256').update(`${RULES}`)
  await pipeline(createReadStream(join(CHECKPOINT, 'model.safetensors')), hash)
  const key = `translation-${hash.digest('hex').slice(0, 12)}`
  const folder = join(peersFolder(), 'models', key, 'checkpoint')
  await makeOnce(folder, async (output) => {
    log('exporting the translation checkpoint')
    const options = { checkpoint: CHECKPOINT, format: 'huggingface', dtype: 'float32', output }
    await exportCheckpoint(exportOptionsSchema.parse(options))
  })
  const tokenizer = await readTokenizer(folder)
  const { examples } = await readEvaluationExamples(SENTENCES, {
    tokenizer,
    maxSourceLength: 512,
    task: 'translation',
    sourceColumn: 'source',
    targetColumn: 'target_1,target_2',
  })
  return {
    name: 'translation',
    folder,
    key,
    sources: examples.map(({ source }) => Array.from(source)),
    maxNewTokens: NEW_TOKENS,
    isFixedLength: false,
    ...EFFORT.translation,
    texts: { tokenizer, references: examples.map(({ references }) => references) },
  }
}
