// `shallowdeep generate`: texts from arguments, a data file or standard input, decoded and written as they come.
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import {
  checkpointShape,
  columnsShape,
  dataPath,
  decodingOptionsSchema,
  engineShape,
  filePath,
  policyShape,
  refineDecoding,
  taskShape,
} from '../../config/index.js'
import type { Exit, RowResult } from '../../decoding/index.js'
import { ShallowDeepError } from '../../errors.js'
import type { OpenedCheckpoint } from '../../pipeline/index.node.js'
import type { styleToken } from '../../report/index.js'
import { CHECKPOINT_GROUPS, loopOptionsOf, warnOfCuts, withCheckpoint } from '../checkpointCommand.js'
import { defineCommand, type CommandContext } from '../command.js'
import { prepareProfit, type OpenProfit } from '../profit.js'

const { sourceColumn, skipBadRows, limit } = columnsShape

const schema = z
  .strictObject({
    ...checkpointShape,
    data: dataPath.optional().describe('texts from the source column of a file, in place of arguments'),
    sourceColumn,
    skipBadRows,
    limit,
    ...taskShape,
    ...policyShape,
    batchSize: decodingOptionsSchema.shape.batchSize,
    ...engineShape,
    showExits: z
      .boolean()
      .default(false)
      .describe('colour each token by its exit (without colours: deep ones in brackets)'),
    output: filePath.optional().describe('write the results there instead of to standard output'),
  })
  .superRefine(refineDecoding)

type Options = z.output<typeof schema>

export const createCommand = defineCommand({
  name: 'generate',
  summary: 'decode texts: arguments, a data file, or a text a line on standard input',
  argument: { name: '[text...]', description: 'texts to decode; without any, standard input is read' },
  schema,
  groups: { ...CHECKPOINT_GROUPS, 'Output:': ['showExits', 'output'] },
  examples: [
    'shallowdeep generate --checkpoint checkpoints/translation-de-en --show-exits "Der Zug kommt heute später."',
    'shallowdeep generate --checkpoint checkpoints/translation-de-en --json < sentences.txt',
  ],
  async run(options, context) {
    const { args, output } = context
    if (options.data !== undefined && args.length > 0) throw twoInputs()
    const openProfit = await prepareProfit(options, context)
    await withCheckpoint(options, output, (checkpoint) =>
      decodeTexts(checkpoint, { options, openProfit, context }),
    )
  },
})

interface DecodeJob {
  readonly options: Options
  readonly openProfit: OpenProfit
  readonly context: CommandContext
}

async function decodeTexts(checkpoint: OpenedCheckpoint, { options, openProfit, context }: DecodeJob) {
  const { output, signal } = context
  const [{ createSelection }, { generate, policyFor }, { prefixOf }, tokenizers] = await Promise.all([
    import('../../decoding/index.js'),
    import('../../pipeline/index.js'),
    import('../../data/index.js'),
    import('../../tokenizer/index.js'),
  ])
  const { maxSourceLength, batchSize } = options
  const counts = { truncatedSources: 0, skippedRows: 0 }
  const prefix = prefixOf(options)
  const policy = policyFor(checkpoint, options)
  const selection = createSelection(options)
  const profit = await openProfit(checkpoint, { policy, selection })
  const isApproximate = policy.name === 'lossless' && checkpoint.engine.info.isApproximate
  if (isApproximate)
    output.note(`approximate: in ${options.dtype}, lossless may differ from full now and then`)
  let numDecoded = 0
  const sink = openSink(options.output, output)
  const style = options.showExits && !output.isJson ? await loadStyle(options, context) : undefined
  try {
    for await (const batch of batchesOf(readTexts(options, context, counts), batchSize)) {
      const rows = batch.map(() => ({
        exits: [] as Exit[],
        stream: new tokenizers.IncrementalDetokeniser(checkpoint.tokenizer),
        text: '',
      }))
      const write = (row: number, text: string) => {
        // A single row is written as it comes, several one after the other.
        if (batch.length === 1) sink.write(text)
        else rows[row].text += text
      }
      const events = generate(checkpoint, batch, {
        ...loopOptionsOf(options),
        policy,
        selection,
        profit,
        firstOrdinal: numDecoded,
        prefix,
        maxSourceLength,
        signal,
        onTruncated: () => counts.truncatedSources++,
      })
      numDecoded += batch.length
      for await (const event of events) {
        if (event.type === 'encoded') continue
        const row = rows[event.row]
        if (event.type === 'token') row.exits[event.position] = event.exit
        else if (event.type === 'end') {
          if (output.isJson) {
            write(
              event.row,
              JSON.stringify({
                ...resultLine(event.result, checkpoint.tokenizer),
                ...(isApproximate && { isApproximate }),
              }),
            )
          }
          write(event.row, `${style ? row.stream.end() : ''}\n`)
        } else if (style) {
          for (const [i, token] of event.tokens.entries()) {
            write(event.row, style({ text: row.stream.push(token), exit: row.exits[event.position + i] }))
          }
        } else if (!output.isJson) write(event.row, event.text)
      }
      if (batch.length > 1) for (const { text } of rows) sink.write(text)
    }
  } finally {
    await sink.end()
  }
  warnOfCuts(counts, options, output)
}

/** A row's line of `--json`. With beams, all outputs that were found, best first, stand beside the best one. */
function resultLine(result: RowResult, tokenizer: OpenedCheckpoint['tokenizer']) {
  const { text, tokens, exits, exitLayers, confidences, hypotheses } = result
  return {
    ...{ text, tokens, exits, exitLayers, confidences },
    hypotheses: hypotheses?.map(({ tokens, score }) => ({ text: tokenizer.decode(tokens), tokens, score })),
  }
}

/** The texts to decode, as they become known. */
async function* readTexts(
  options: Options,
  { args, signal, output }: CommandContext,
  counts: { skippedRows: number },
): AsyncGenerator<string> {
  if (args.length > 0) {
    yield* options.limit === undefined ? args : args.slice(0, options.limit)
  } else if (options.data !== undefined) {
    const { readExamples } = await import('../../data/index.node.js')
    const examples = readExamples(options.data, { ...options, hasTarget: false })
    for await (const { source } of examples) yield source
    counts.skippedRows = examples.report.numSkipped
  } else {
    if (process.stdin.isTTY) output.note('one text a line; Ctrl-D ends')
    let numLines = 0
    try {
      for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity, signal })) {
        yield line
        if (++numLines === options.limit) break
      }
    } finally {
      // An input that somebody holds open would keep the process from ending.
      process.stdin.destroy()
    }
    signal.throwIfAborted()
  }
}

/** Groups of `size` texts; the last one may have fewer. */
async function* batchesOf(texts: AsyncIterable<string>, size: number): AsyncGenerator<string[]> {
  let batch: string[] = []
  for await (const text of texts) {
    batch.push(text)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

interface Sink {
  write(text: string): void
  end(): Promise<void>
}

function openSink(path: string | undefined, output: CommandContext['output']): Sink {
  if (path === undefined) return { write: (text) => output.write(text), end: async () => undefined }
  const file = createWriteStream(path)
  const failed = new Promise<never>((_resolve, reject) => file.on('error', reject))
  return {
    write: (text) => void file.write(text),
    end: () => Promise.race([failed, new Promise<void>((resolve) => file.end(() => resolve()))]),
  }
}

/** How a token is shown by its exit; tells once what the colours mean. */
async function loadStyle({ output: file }: Options, { output }: CommandContext) {
  const report = await import('../../report/index.js')
  const hasColour = output.hasColour && file === undefined
  output.note(report.exitLegend([], { colour: hasColour }))
  return (token: Parameters<typeof styleToken>[0]) => report.styleToken(token, hasColour)
}

function twoInputs(): ShallowDeepError {
  return new ShallowDeepError({
    code: 'cli.two-inputs',
    message: 'texts were given both as arguments and with --data',
    hint: 'give one of the two',
  })
}
