// Summarization, with the prefix of the T5 paper (Raffel et al. 2020, appendix D.9).
import type { Task } from './task.js'

/** Long texts to short ones. */
export const summarization: Task = {
  name: 'summarization',
  description: 'a document or a dialogue into its summary',
  defaultPrefix: 'summarize: ',
  metrics: ['rouge1', 'rouge2', 'rougeL'],
}
