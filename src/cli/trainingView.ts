// What the commands that train have in common: a run shown while it goes on, Ctrl-C, and the result.
import { runShape } from '../config/index.js'
import type { ConfigFile } from '../config/index.node.js'
import type {
  PreparedEvent,
  RunCommand,
  TimedStep,
  TrainRunEvent,
  TrainRunOptions,
  TrainRunResult,
} from '../pipeline/index.node.js'
import type { ValidationResult } from '../training/index.js'
import { EXIT } from './failure.js'
import type { Output } from './output.js'
import { formatRate, type Progress } from './progress.js'
import { quote } from './shell.js'

/** Headings of --help for the keys of every training run. */
export const RUN_GROUPS = {
  'Run:': ['output', 'resume', 'logEvery', 'backend', 'threads'],
  'Data:': [
    'data',
    'tokenizer',
    'sourceColumn',
    'targetColumn',
    'jsonReferences',
    'skipBadRows',
    'limit',
    'task',
    'prefix',
  ],
  'Validation:': Object.keys(runShape).filter((key) => key.startsWith('validation')),
} satisfies Readonly<Record<string, readonly string[]>>

/** Reads the options that a run was begun with where it is to be resumed: for `readStored`. */
export async function readStoredRun(
  given: Readonly<Record<string, unknown>>,
  command: RunCommand,
): Promise<ConfigFile | undefined> {
  if (given.resume !== true || typeof given.output !== 'string') return undefined
  const { readRunOptions } = await import('../pipeline/index.node.js')
  return readRunOptions(given.output, command)
}

/** Shows a run to its end, reports its result, and returns the exit code. */
export async function showTraining(
  start: (options: TrainRunOptions) => AsyncIterable<TrainRunEvent>,
  context: {
    readonly output: Output
    readonly signal: AbortSignal
    readonly command: RunCommand
    /** The run's folder. */
    readonly folder: string
  },
): Promise<number> {
  const { output, signal, command, folder } = context
  const { tokensPerSecond } = await import('../pipeline/index.node.js')
  const view = new TrainView(output, tokensPerSecond)
  signal.addEventListener('abort', () => view.interrupt())
  let exitCode: number = EXIT.done
  try {
    for await (const event of start({ signal, onDecoded: (done, total) => view.decoded(done, total) })) {
      view.show(event)
      if (event.type === 'depth') {
        const { depthTable } = await import('../report/index.js')
        view.note(depthTable(event.choice, { width: output.width }))
      }
      if (event.type !== 'result') continue
      view.end()
      exitCode = event.result.isInterrupted
        ? reportInterruption(
            event.result,
            `shallowdeep ${command} --resume --output ${quote(folder)}`,
            output,
          )
        : reportResult(event.result, output)
    }
  } finally {
    view.end()
  }
  return exitCode
}

/** How many of the newest steps a rate is of. */
const RATE_STEPS = 20

/** What a run looks like while it goes on. */
class TrainView {
  private progress: Progress | undefined
  private readonly steps: TimedStep[] = []
  private done = 0

  constructor(
    private readonly output: Output,
    private readonly tokensPerSecond: (steps: readonly TimedStep[]) => number,
  ) {}

  show(event: TrainRunEvent): void {
    if (event.type === 'prepared') {
      for (const line of describePrepared(event)) this.output.note(line)
      this.done = event.resumedFrom ?? 0
      this.progress = this.output.progress({ label: 'training', total: event.totalSteps, done: this.done })
    } else if (event.type === 'step') {
      this.steps.push(event)
      if (this.steps.length > RATE_STEPS) this.steps.shift()
      this.done = event.step
      this.progress?.update(event.step, [
        `${formatRate(this.tokensPerSecond(this.steps))} tokens/s`,
        `loss ${event.loss.toFixed(3)}`,
        `epoch ${event.epoch}`,
      ])
    } else if (event.type === 'validation') {
      this.note(
        `step ${event.step}: ${describeValidation(event.result)}${event.isBest ? '; the best so far' : ''}`,
      )
    }
  }

  decoded(numDone: number, numTotal: number): void {
    this.progress?.update(this.done, [`validating: ${numDone} of ${numTotal} decoded`])
  }

  /** Says what the first Ctrl-C does; before the training has begun it simply ends the command. */
  interrupt(): void {
    if (this.progress) this.note('finishing the step, then saving; Ctrl-C again quits at once')
  }

  note(text: string): void {
    if (this.progress) this.progress.note(text)
    else this.output.note(text)
  }

  end(): void {
    this.progress?.end()
  }
}

function describePrepared(event: PreparedEvent): string[] {
  const { backend, truncatedSources, truncatedTargets, skippedRows } = event
  const counts = [
    ...(truncatedSources > 0 ? [`${truncatedSources} inputs cut`] : []),
    ...(truncatedTargets > 0 ? [`${truncatedTargets} targets cut`] : []),
    ...(skippedRows > 0 ? [`${skippedRows} rows left out`] : []),
  ]
  const examples = `${count(event.numExamples)} examples`
  const isPartial = event.numTrained !== event.numParameters
  const trained = isPartial ? ` (${count(event.numTrained)} trained)` : ''
  return [
    `backend ${backend.name} (${backend.reason})`,
    `${count(event.numParameters)} parameters${trained}, ${[examples, ...counts].join(', ')}, ${count(event.totalSteps)} steps`,
    ...(event.resumedFrom === null ? [] : [`going on after step ${count(event.resumedFrom)}`]),
    ...(event.changes.length === 0 ? [] : [`changed: ${event.changes.join(', ')}`]),
  ]
}

function describeValidation({ shallow, deep, agreement }: ValidationResult): string {
  const exit = (name: string, { loss, scores = {} }: ValidationResult['deep']) => {
    const [leading] = Object.entries(scores).map(
      ([metric, score]) => ` ${labelOf(metric)} ${score.toFixed(1)}`,
    )
    return `${name} loss ${loss.toFixed(3)}${leading ?? ''}`
  }
  return `${exit('shallow', shallow)}, ${exit('deep', deep)}, agreement ${agreement.toFixed(3)}`
}

/** A metric's name for people. */
function labelOf(metric: string): string {
  return metric === 'bleu' ? 'BLEU' : metric
}

function reportInterruption(result: TrainRunResult, goOn: string, output: Output): number {
  if (result.lastCheckpoint === null) {
    output.warn('interrupted before the first step; nothing was saved')
    return EXIT.interrupted
  }
  output.warn(`interrupted after step ${result.steps}; saved ${result.lastCheckpoint}`)
  process.stderr.write(`go on with: ${goOn}\n`)
  return EXIT.interrupted
}

function reportResult({ steps, bestStep, validation, checkpoint }: TrainRunResult, output: Output): number {
  if (output.isJson) output.json({ steps, bestStep, validation, checkpoint })
  else {
    if (validation) output.line(`step ${bestStep}: ${describeValidation(validation)}`)
    output.line(`best checkpoint: ${checkpoint}`)
  }
  return EXIT.done
}

function count(x: number): string {
  return x.toLocaleString('en-US')
}
