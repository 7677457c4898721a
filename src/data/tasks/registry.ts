// The tasks by name.
import { ShallowDeepError, suggestNearest } from '../../errors.js'
import { questionAnswering } from './questionAnswering.js'
import { summarization } from './summarization.js'
import type { Task } from './task.js'
import { text2text } from './text2text.js'
import { translation } from './translation.js'

/** All tasks, the default first. */
export const TASKS: readonly Task[] = [text2text, translation, summarization, questionAnswering]

/** The names that {@link taskByName} knows. */
export const TASK_NAMES: readonly string[] = TASKS.map((task) => task.name)

/** A task by its name. Throws `data.unknown-task`, which names the tasks there are and the near miss. */
export function taskByName(name: string): Task {
  const found = TASKS.find((task) => task.name === name)
  if (found !== undefined) return found
  const near = suggestNearest(name, TASK_NAMES)
  throw new ShallowDeepError({
    code: 'data.unknown-task',
    message:
      `unknown task "${name}", expected one of ${TASK_NAMES.join(', ')}` +
      (near === undefined ? '' : `; did you mean ${near}?`),
    hint: 'name one of these with --task',
    details: { name },
  })
}
