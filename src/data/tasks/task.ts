// What a task adds to an example: the words put before the source, and the metrics that its outputs are judged by.

/** One kind of text-to-text work. */
export interface Task {
  /** As `--task` names it. */
  readonly name: string
  /** Put before each source unless `--prefix` says otherwise; empty for none. */
  readonly defaultPrefix: string
  /** Names of metrics, the one that stands for quality first. */
  readonly metrics: readonly string[]
}

/** What the encoder is given: the prefix (default: the task's own) and the source text. */
export function toSource(task: Task, source: string, prefix = task.defaultPrefix): string {
  return prefix + source
}
