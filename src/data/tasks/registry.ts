// The tasks by name.
import { ShallowDeepError, suggestNearest } from '../../errors.js'
import { questionAnswering } from './questionAnswering.js'
import { summarization } from './summarization.js'
import type { Task } from './task.js'
import { text2text } from './text2text.js'
import { translation } from './translation.js'

/** All tasks, the default one first. */
export const tasks: readonly Task[] = [text2text, translation, summarization, questionAnswering]

/** The task of that name. Throws `data.unknown-task` with the names there are and the near miss. */
export function taskByName(name: string): Task {
  const task = tasks.find((candidate) => candidate.name === name)
  if (task !== undefined) return task
  const names = tasks.map((candidate) => candidate.name)
  const near = suggestNearest(name, names)
  throw new ShallowDeepError({
    code: 'data.unknown-task',
    message:
      `expected a task (${names.join(', ')}), got "${name}"` +
      (near === undefined ? '' : `; did you mean ${near}?`),
    details: { name, names },
  })
}
