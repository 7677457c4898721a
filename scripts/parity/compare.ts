// Checkpoints, exported and loaded by the reference implementation, against our engine: logits of both exits, greedy ids, and
// what the tokenizer makes of some texts.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeSafetensors, type Checkpoint, type Tensor } from '../../src/checkpoint/index.js'
import { readCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { exportOptionsSchema } from '../../src/config/index.js'
import { decodeOne, full, type DecoderEngine } from '../../src/decoding/index.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { exportCheckpoint } from '../../src/pipeline/index.node.js'
import { Random } from '../../src/random.js'
import { openTokenizer } from '../../src/tokenizer/index.js'
import { run, tellingLine } from '../native/processes.js'

/** What reference.py prints. */
export interface Comparison {
  readonly transformers: string
  readonly rows: number
  readonly deepDifference: number
  readonly shallowDifference: number
  readonly largestLogit: number
  readonly greedyDiffers: number
  readonly texts: number
  readonly tokenizerDiffers: number
  readonly missing: readonly string[]
  readonly unexpected: readonly string[]
}

const SCRIPT = fileURLToPath(new URL('./reference.py', import.meta.url))
const NUM_ROWS = 8
const MAX_NEW_TOKENS = 12
const TEXTS = [
  'Zwei Hunde spielen im Schnee.',
  'A man, 42 years old; "hello"?',
  '  two  spaces ',
  'naïve façade – ok',
]

/** A checkpoint to compare, and how it is stored in the export. */
export interface Subject {
  readonly folder: string
  readonly dtype: string
}

/**
 * Exports each checkpoint and compares, in one process of the reference. The current backend computes our side. Throws what
 * exporting throws, and `parity.reference-failed`.
 */
export async function compareWithReference(
  subjects: readonly Subject[],
  python: string,
): Promise<readonly Comparison[]> {
  const work = mkdtempSync(join(tmpdir(), 'shallowdeep-parity-'))
  try {
    const words = [SCRIPT]
    for (const [i, { folder, dtype }] of subjects.entries()) {
      const [output, ours] = [join(work, `${i}-export`), join(work, `${i}-ours`)]
      const options = { checkpoint: folder, format: 'huggingface', dtype, output }
      await exportCheckpoint(exportOptionsSchema.parse(options))
      mkdirSync(ours)
      await writeOurs(await readCheckpointFolder(output), ours)
      words.push(output, ours)
    }
    const finished = await run(python, words)
    if (finished.code === 0) {
      return finished.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Comparison)
    }
    throw new ShallowDeepError({
      code: 'parity.reference-failed',
      message: `the reference implementation failed: ${tellingLine(finished)}`,
      details: { stderr: finished.stderr },
      kind: 'failure',
    })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function writeOurs({ config, weights, tokenizerJson }: Checkpoint, work: string): Promise<void> {
  const random = new Random(7)
  const row = (length: number) => Array.from({ length }, () => 2 + random.integer(config.vocabSize - 2))
  const sources = Array.from({ length: NUM_ROWS }, (_, i) => [...row(3 + 5 * i), config.eosId])
  const targets = sources.map((_, i) => [config.decoderStartId, ...row(2 + 3 * i)])
  const engine = createTfjsEngine({ config, weights })
  const logits = new Map<string, Tensor>()
  const greedy: (readonly number[])[] = []
  try {
    for (const [i, source] of sources.entries()) {
      const exits = await logitsOf(engine, { source, target: targets[i] })
      for (const [exit, tensor] of Object.entries(exits)) logits.set(`${i}.${exit}`, tensor)
      const { tokens } = await decodeOne(engine, source, { policy: full(), maxNewTokens: MAX_NEW_TOKENS })
      greedy.push(tokens)
    }
  } finally {
    engine.dispose()
  }
  const tokenizer = tokenizerJson && openTokenizer(tokenizerJson, 'tokenizer.json')
  const texts = tokenizer ? TEXTS.map((text) => [text, tokenizer.encode(text)]) : []
  const inputs = { sources, targets, maxNewTokens: MAX_NEW_TOKENS, greedy, texts }
  writeFileSync(join(work, 'inputs.json'), JSON.stringify(inputs))
  writeFileSync(join(work, 'logits.safetensors'), writeSafetensors(logits))
}

/** Logits [T, V] of both exits, given the target. */
async function logitsOf(
  engine: DecoderEngine,
  { source, target }: { readonly source: readonly number[]; readonly target: readonly number[] },
): Promise<Record<'shallow' | 'deep', Tensor>> {
  const { shallowLayers, decoderLayers, vocabSize } = engine.info
  const encoded = await engine.encode([source])
  const session = encoded.open({ exits: [shallowLayers, decoderLayers] })
  try {
    for (const token of target) session.push(0, token)
    const exit = async (segment: number): Promise<Tensor> => {
      const [choices] = await session.run({ segment, rows: [0], exit: ['logits'] })
      const data = new Float32Array(target.length * vocabSize)
      for (const [position, { logits }] of choices.entries()) data.set(logits!, position * vocabSize)
      return { shape: [target.length, vocabSize], data }
    }
    return { shallow: await exit(0), deep: await exit(1) }
  } finally {
    session.dispose()
    encoded.dispose()
  }
}

/** What float32 sums in another order may differ by, for logits of the size of 1. */
const BOUND = 1e-4

/** Whether nothing differs: the logits within float32's reach, relative to the largest, and all ids exactly. */
export function isSame(comparison: Comparison): boolean {
  const { deepDifference, shallowDifference, largestLogit, greedyDiffers, tokenizerDiffers, missing } =
    comparison
  const isClose = Math.max(deepDifference, shallowDifference) <= BOUND * Math.max(1, largestLogit)
  return isClose && greedyDiffers + tokenizerDiffers + missing.length === 0
}

/** A comparison as a line. */
export function describeComparison({ folder, dtype }: Subject, comparison: Comparison): string {
  const { deepDifference, shallowDifference, largestLogit, rows, texts } = comparison
  return [
    `${basename(folder)} ${dtype}: deep ${deepDifference.toExponential(1)}`,
    `shallow ${shallowDifference.toExponential(1)}`,
    `largest logit ${largestLogit.toFixed(1)}`,
    `greedy ${rows - comparison.greedyDiffers}/${rows}`,
    `texts ${texts - comparison.tokenizerDiffers}/${texts}`,
    `transformers ${comparison.transformers}`,
  ].join(', ')
}
