// Any text to any text: nothing is put before the source, and the metrics need nothing but references.
import type { Task } from './task.js'

/** The default task. */
export const text2text: Task = {
  name: 'text2text',
  description: 'any text to any text, as the columns hold them',
  defaultPrefix: '',
  metrics: ['bleu', 'chrf'],
}
