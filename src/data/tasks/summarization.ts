// Summarization, with the prefix of the T5 paper (Raffel et al. 2020, appendix D.9).
import type { Task } from './task.js'

/** Long texts to short ones. ROUGE-L comes first: it is the strictest of the three on word order. */
export const summarization: Task = {
  name: 'summarization',
  defaultPrefix: 'summarize: ',
  metrics: ['rougeL', 'rouge1', 'rouge2'],
}
