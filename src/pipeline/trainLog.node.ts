// The log of a training run: a file of JSON lines that survives kills. Steps are averaged over an interval, everything else
// is a line of its own.
import { appendFile, readFile, truncate } from 'node:fs/promises'
import type { TrainingEvent } from '../training/index.js'

/** A step and how long it took. */
export type TimedStep = Extract<TrainingEvent, { type: 'step' }> & { readonly ms: number }

/** Writes a run's log. */
export class TrainLog {
  private steps: TimedStep[] = []

  private constructor(
    private readonly path: string,
    private readonly logEvery: number,
    private readonly start: number,
  ) {}

  /** Opens a log for appending. A line that a kill cut short is taken away. */
  static async open(path: string, logEvery: number): Promise<TrainLog> {
    const bytes = await readFile(path).catch(() => Buffer.alloc(0))
    const end = bytes.lastIndexOf(10) + 1
    if (end < bytes.length) await truncate(path, end)
    return new TrainLog(path, logEvery, performance.now())
  }

  /** Appends one line: the entry and the seconds since the log was opened. */
  async write(entry: Readonly<Record<string, unknown>>): Promise<void> {
    const seconds = round((performance.now() - this.start) / 1000, 3)
    await appendFile(this.path, `${JSON.stringify({ ...entry, seconds })}\n`)
  }

  /** Takes a step; writes a line for every `logEvery` of them. */
  async step(step: TimedStep): Promise<void> {
    this.steps.push(step)
    if (step.step % this.logEvery === 0) await this.flush()
  }

  /** Writes the steps that wait for their line. */
  async flush(): Promise<void> {
    const { steps } = this
    if (steps.length === 0) return
    this.steps = []
    const mean = (of: (step: TimedStep) => number) =>
      round(steps.reduce((sum, step) => sum + of(step), 0) / steps.length, 6)
    const last = steps[steps.length - 1]
    await this.write({
      type: 'step',
      step: last.step,
      totalSteps: last.totalSteps,
      epoch: last.epoch,
      loss: mean(({ loss }) => loss),
      shallowLoss: mean(({ shallowLoss }) => shallowLoss),
      deepLoss: mean(({ deepLoss }) => deepLoss),
      distillationLoss: mean(({ distillationLoss }) => distillationLoss),
      confidenceLoss: mean(({ confidenceLoss }) => confidenceLoss),
      gradientNorm: mean(({ gradientNorm }) => gradientNorm),
      learningRate: last.learningRate,
      tokensPerSecond: round(tokensPerSecond(steps), 1),
    })
  }
}

/** Target tokens a second over some steps, validation and saving apart. */
export function tokensPerSecond(steps: readonly Pick<TimedStep, 'numTokens' | 'ms'>[]): number {
  const ms = steps.reduce((sum, step) => sum + step.ms, 0)
  return (1000 * steps.reduce((sum, step) => sum + step.numTokens, 0)) / ms
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
