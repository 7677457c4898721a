// Translation. No prefix by default: a model trained on one pair of languages needs none. Models of the T5 family that
// were trained on several take theirs by `--prefix "translate German to English: "`.
import type { Task } from './task.js'

/** Sentences from one language to another. */
export const translation: Task = { name: 'translation', defaultPrefix: '', metrics: ['bleu', 'chrf'] }
