// Translation, with the prefix of the T5 paper (Raffel et al. 2020, appendix D.14), which names both languages: it is made
// of them where they are given, and there is none by default.
import type { Task } from './task.js'

/** Sentences from one language to another. */
export const translation: Task = {
  name: 'translation',
  description:
    'sentences into another language; given both languages, "translate German to English: " stands before',
  defaultPrefix: '',
  metrics: ['bleu', 'chrf'],
}

/** T5's prefix for two languages in English words: `translate German to English: `. */
export function translationPrefix(sourceLanguage: string, targetLanguage: string): string {
  return `translate ${sourceLanguage} to ${targetLanguage}: `
}
