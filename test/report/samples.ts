// Results that the report tests read: a plausible ablation from a file, and ways to make rows, outputs and hostile texts.
import { readFileSync } from 'node:fs'
import type { AblationResult, EvaluationResult, OutputToken } from '../../src/evaluation/index.js'
import { parseAblationResult } from '../../src/evaluation/index.js'
import type { ReportInput } from '../../src/report/index.js'

/** The JSON of an ablation as a program would print it. */
export function readAblationJson(): unknown {
  return JSON.parse(readFileSync(new URL('./fixtures/ablation.json', import.meta.url), 'utf8'))
}

/** The same, checked. */
export function sampleAblation(): AblationResult {
  return parseAblationResult(readAblationJson(), 'ablation.json')
}

/** The row of the sample that was decoded under an adaptive threshold, with outputs and evidence. */
export function sampleAdaptive(): Required<Pick<EvaluationResult, 'outputs' | 'evidence'>> &
  EvaluationResult {
  const row = sampleAblation().rows.find(({ outputs }) => outputs)
  if (!row?.outputs || !row.evidence) throw new Error('the sample has lost its outputs or its evidence')
  return { ...row, outputs: row.outputs, evidence: row.evidence }
}

/** A row in which everything that can be null is. */
export function emptyRow(change: Partial<EvaluationResult> = {}): EvaluationResult {
  return {
    policy: 'full',
    threshold: null,
    engine: 'onnx',
    backend: null,
    dtype: 'int8',
    threads: null,
    examples: 3,
    tokens: 30,
    quality: { bleu: { score: 20, low: null, high: null, signature: 'nrefs:1' } },
    latency: {
      msPerTokenP50: 5,
      msPerTokenP95: 6,
      msPerTokenMean: 5.2,
      tokensPerSecond: 192,
      encoderMsP50: 8,
    },
    exits: {
      shallowShare: 0,
      meanDepth: 8,
      layerPasses: 1,
      agreement: null,
      flushes: 0,
      meanFlushSize: null,
    },
    speedup: null,
    speedupWithEncoder: null,
    ...change,
  }
}

/** A report's input around some results. */
export function reportInput(change: Partial<ReportInput> = {}): ReportInput {
  return {
    title: 'Early exits, German to English',
    results: sampleAblation(),
    provenance: {
      checkpoint: 'checkpoints/de-en',
      data: 'datasets/de-en/held-out.csv',
      command: 'shallowdeep ablate thresholds --checkpoint checkpoints/de-en --json',
      date: '2026-11-24',
    },
    ...change,
  }
}

/** Tokens from a line of text: `*` before a token makes it deep, `_` stands for a space in it. */
export function tokensOf(line: string, { shallowLayers = 2, decoderLayers = 8 } = {}): OutputToken[] {
  return line.split(' ').map((word) => {
    const isDeep = word.startsWith('*')
    return {
      text: (isDeep ? word.slice(1) : word).replaceAll('_', ' '),
      exit: isDeep ? 'deep' : 'shallow',
      confidence: isDeep ? 0.2 : 0.9,
      exitLayer: isDeep ? decoderLayers : shallowLayers,
    }
  })
}

/** Texts that break out of anything that does not escape them. */
export const HOSTILE_TEXTS = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</style></title></svg><b>',
  '&lt;b&gt; & &amp;',
  ']]> <!-- --> <?xml ?>',
  '\u001b[31mred\u001b[0m\u0007\u0000',
  'a | b ``` c [x](javascript:alert(1)) *d* _e_',
  '\u202eevil\u202c \ud800 \ufffe',
  'line\nfeed\ttab\r\n',
]

/** Words that a number which is none leaves in a text. */
export const LEAKED_VALUES = /\b(?:NaN|undefined|Infinity|null)\b|\[object/
