// The metrics by name, with the settings their field uses by default, for tasks and the command line.
import { ShallowDeepError, suggestNearest } from '../errors.js'
import { bleu, sentenceBleu } from './bleu.js'
import { chrf } from './chrf.js'
import type { Metric } from './metric.js'
import { rouge } from './rouge.js'
import { exactMatch, f1 } from './squad.js'

const FACTORIES = {
  bleu: () => bleu(),
  'bleu-intl': () => bleu({ tokenizer: 'intl' }),
  'bleu-char': () => bleu({ tokenizer: 'char' }),
  'bleu-sentence': () => sentenceBleu(),
  chrf: () => chrf(),
  'chrf++': () => chrf({ wordOrder: 2 }),
  rouge1: () => rouge('rouge1'),
  rouge2: () => rouge('rouge2'),
  rougeL: () => rouge('rougeL'),
  rougeLsum: () => rouge('rougeLsum'),
  'rouge1-stem': () => rouge('rouge1', { stem: true }),
  'rouge2-stem': () => rouge('rouge2', { stem: true }),
  'rougeL-stem': () => rouge('rougeL', { stem: true }),
  'rougeLsum-stem': () => rouge('rougeLsum', { stem: true }),
  exactMatch: () => exactMatch(),
  f1: () => f1(),
} satisfies Record<string, () => Metric>

/** Names that {@link metricByName} knows; each is the `name` of its metric. */
export type MetricName = keyof typeof FACTORIES
export const METRIC_NAMES = Object.keys(FACTORIES) as readonly MetricName[]

/**
 * A metric with the settings that its name says and else its defaults: BLEU 13a with exponential smoothing, chrF of 6
 * characters, ROUGE without stemming, answers as in SQuAD v1.1. Throws `metrics.unknown-metric`.
 */
export function metricByName(name: string): Metric {
  if (Object.hasOwn(FACTORIES, name)) return FACTORIES[name as MetricName]()
  const nearest = suggestNearest(name, METRIC_NAMES)
  throw new ShallowDeepError({
    code: 'metrics.unknown-metric',
    message: `unknown metric ${name}, expected one of ${METRIC_NAMES.join(', ')}`,
    hint: nearest === undefined ? undefined : `Did you mean ${nearest}?`,
    details: { name },
  })
}
