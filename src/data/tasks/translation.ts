// Translation. T5's own prefix names both languages ("translate English to German: "), so it can't be a default.
import type { Task } from './task.js'

/** Sentences from one language to another. */
export const translation: Task = {
  name: 'translation',
  description: 'sentences into another language; give T5 its prefix, as "translate English to German: "',
  defaultPrefix: '',
  metrics: ['bleu', 'chrf'],
}
