// Question answering in the form of the T5 paper (Raffel et al. 2020, appendix D.15): one text that holds the question
// and the paragraph, one that is the answer. The words "question:" and "context:" are part of the source, not a prefix.
import type { Task } from './task.js'

/** Questions about a given text. */
export const questionAnswering: Task = {
  name: 'question-answering',
  defaultPrefix: '',
  metrics: ['f1', 'exactMatch'],
}

/** The source text of a question about a context. */
export function questionSource(question: string, context: string): string {
  return `question: ${question} context: ${context}`
}
