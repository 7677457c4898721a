// `shallowdeep train`: a training run from files, with a progress bar; Ctrl-C saves and says how to go on.
import { learningShape, modelShape, trainRunSchema } from '../../config/index.js'
import type { PreparedEvent, TimedStep, TrainRunEvent, TrainRunResult } from '../../pipeline/index.node.js'
import type { ValidationResult } from '../../training/index.js'
import { defineCommand } from '../command.js'
import { quote } from '../shell.js'
import { EXIT } from '../failure.js'
import type { Output } from '../output.js'
import { formatRate, type Progress } from '../progress.js'

const shape = Object.keys(trainRunSchema.shape)
const validationKeys = shape.filter((key) => key.startsWith('validation'))

export const createCommand = defineCommand({
  name: 'train',
  summary: 'train a shallow-deep model on a data file',
  schema: trainRunSchema,
  groups: {
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
    'Validation:': validationKeys,
    'Model:': Object.keys(modelShape),
    'Training:': Object.keys(learningShape),
  },
  examples: [
    'shallowdeep tokenizer train --data datasets/translation_de_en/test.csv \\',
    '  --target-column target_1,target_2 --vocab-size 300 --output /tmp/tokenizer.json',
    'shallowdeep train --data datasets/translation_de_en/test.csv --target-column target_1,target_2 \\',
    '  --tokenizer /tmp/tokenizer.json --d-model 32 --d-ff 64 --decoder-layers 4 --batch-size 16 \\',
    '  --steps 30 --warmup-steps 10 --output /tmp/run',
    'shallowdeep train --resume --output /tmp/run --steps 60',
  ],
  async readStored(given) {
    if (given.resume !== true || typeof given.output !== 'string') return undefined
    const { readRunOptions } = await import('../../pipeline/index.node.js')
    return readRunOptions(given.output)
  },
  async run(config, { output, signal }) {
    const { tokensPerSecond, trainRun } = await import('../../pipeline/index.node.js')
    const view = new TrainView(output, tokensPerSecond)
    signal.addEventListener('abort', () => view.interrupt())
    let exitCode: number = EXIT.done
    try {
      for await (const event of trainRun(config, {
        signal,
        onDecoded: (done, total) => view.decoded(done, total),
      })) {
        view.show(event)
        if (event.type !== 'result') continue
        view.end()
        exitCode = event.result.isInterrupted
          ? reportInterruption(event.result, config.output, output)
          : reportResult(event.result, output)
      }
    } finally {
      view.end()
    }
    return exitCode
  },
})

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
  return [
    `backend ${backend.name} (${backend.reason})`,
    `${count(event.numParameters)} parameters, ${[examples, ...counts].join(', ')}, ${count(event.totalSteps)} steps`,
    ...(event.resumedFrom === null ? [] : [`going on after step ${count(event.resumedFrom)}`]),
  ]
}

function describeValidation({ shallow, deep, agreement }: ValidationResult): string {
  const exit = (name: string, { loss, bleu }: ValidationResult['deep']) =>
    `${name} loss ${loss.toFixed(3)}${bleu === null ? '' : ` BLEU ${bleu.toFixed(1)}`}`
  return `${exit('shallow', shallow)}, ${exit('deep', deep)}, agreement ${agreement.toFixed(3)}`
}

function reportInterruption(result: TrainRunResult, folder: string, output: Output): number {
  if (result.lastCheckpoint === null) {
    output.warn('interrupted before the first step; nothing was saved')
    return EXIT.interrupted
  }
  output.warn(`interrupted after step ${result.steps}; saved ${result.lastCheckpoint}`)
  process.stderr.write(`go on with: shallowdeep train --resume --output ${quote(folder)}\n`)
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
