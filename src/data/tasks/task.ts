// What a task is: the words a T5 model expects before a source, and which metrics its field reports.
import type { MetricName } from '../../metrics/index.js'

/** How one kind of problem is put to a text-to-text model and how its outputs are measured. */
export interface Task {
  /** As `--task` takes it. */
  readonly name: string
  /** One line for help texts. */
  readonly description: string
  /** Put before each source unless the caller gives a prefix of their own; empty where T5 was trained without one. */
  readonly defaultPrefix: string
  /** Metrics of the task, the leading one first. */
  readonly metrics: readonly MetricName[]
}
