// Question answering in the form of the T5 paper (Raffel et al. 2020, appendix D.15): one text that holds the question
// and the paragraph, one that is the answer. The words "question:" and "context:" are part of the source, not a prefix.
import type { Task } from './task.js'

/** Questions about a given text. */
export const questionAnswering: Task = {
  name: 'question-answering',
  description: 'a question and its context into an answer',
  defaultPrefix: '',
  metrics: ['exactMatch', 'f1'],
}

/** The source text of a question about a context. */
export function questionSource(question: string, context: string): string {
  return labelledSource([
    ['question', question],
    ['context', context],
  ])
}

/** Several texts as one source, each behind its label: `question: ... context: ...`. */
export function labelledSource(parts: readonly (readonly [label: string, text: string])[]): string {
  return parts.map(([label, text]) => `${label}: ${text}`).join(' ')
}
