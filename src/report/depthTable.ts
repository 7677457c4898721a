// The choice of the shallow depth as plain text: a table of the layers and the sentences that explain the choice.
import pc from 'picocolors'
import type { DepthChoice, DepthRow } from '../evaluation/index.js'
import { wrapText } from './displayWidth.js'
import { formatCount, formatMs, formatNumber, formatShare, formatThreshold, formatTimes } from './format.js'
import type { TableOptions } from './table.js'
import { MIN_WIDTH, textTable, type TextColumn } from './textTable.js'

const CHOSEN_MARK = ' *'

/** A row a layer, the chosen one with a star, and the explanation below; no line is wider than the terminal. */
export function depthTable(choice: DepthChoice, options: Omit<TableOptions, 'metrics'> = {}): string {
  const width = Math.max(MIN_WIDTH, options.width ?? 80)
  const colour = options.colour ?? false
  const colours = pc.createColors(colour)
  const { rows, shallowLayers } = choice
  const column = (header: TextColumn['header'], cell: (row: DepthRow) => string): TextColumn => ({
    header,
    align: 'right',
    cells: rows.map(cell),
  })
  const table = textTable({
    label: {
      header: ['', 'layer'],
      align: 'left',
      cells: rows.map(({ layer }) => String(layer)),
      marks: rows.map(({ layer }) => (layer === shallowLayers ? CHOSEN_MARK : '')),
    },
    columns: [
      column(['', 'agree'], ({ agreement }) => formatShare(agreement)),
      ...rows[0].thresholds.map(({ threshold }, i) =>
        column(['exits', `> ${formatThreshold(threshold)}`], (row) =>
          formatShare(row.thresholds[i].exitShare),
        ),
      ),
      column(['thres-', 'hold'], ({ threshold }) => formatThreshold(threshold)),
      column(['its', 'exits'], ({ exitShare }) => formatShare(exitShare)),
      column(['shallow', 'ms'], ({ shallowMs }) => formatMs(shallowMs)),
      column(['deep', 'ms'], ({ deepMs }) => formatMs(deepMs)),
      column(['mean', 'flush'], ({ cost }) => formatNumber(cost.meanFlushSize, 1)),
      column(['speed-', 'up'], ({ speedup }) => formatTimes(speedup)),
      column(['', 'limit'], ({ speedupLimit }) => formatTimes(speedupLimit)),
    ],
    width,
    colour,
    paintRow: (line, row) => (rows[row].layer === shallowLayers ? colours.bold(line) : line),
  })
  return [...table, '', ...describeDepthChoice(choice).flatMap((text) => wrapText(text, width, '  '))].join(
    '\n',
  )
}

/** The choice and its reason, what the columns are, and what they rest on; a sentence each. */
export function describeDepthChoice(choice: DepthChoice): string[] {
  const { tokens, sequences, fullMs, minAgreement, confidence } = choice
  return [
    reasonOf(choice),
    `threshold: the smallest ${confidence} above which ${formatShare(minAgreement, 0)} of the tokens agree with the last layer; ` +
      'limit: if exactly the tokens that agree left early.',
    `Speed-ups are expected ones over full decoding, ${formatMs(fullMs)} ms a token, from measured passes; ` +
      `agreement over ${formatCount(tokens, 'token')} of ${formatCount(sequences, 'sequence')}.`,
  ]
}

function reasonOf({ basis, shallowLayers, decoderLayers, rows, minAgreement }: DepthChoice): string {
  const { speedup, speedupLimit, threshold, exitShare, agreement } = rows[shallowLayers - 1]
  const depth = `Shallow exit after ${shallowLayers} of ${decoderLayers} layers`
  if (basis === 'threshold') {
    return (
      `${depth}: above a confidence of ${formatThreshold(threshold)} ${formatShare(exitShare, 0)} of the tokens leave there, ` +
      `which makes decoding ${formatTimes(speedup)} as fast, more than at any other layer.`
    )
  }
  const why = `no layer is sure of enough tokens of which ${formatShare(minAgreement, 0)} agree to be faster than full decoding`
  if (speedupLimit <= 1)
    return `${depth}, though nothing can be gained yet: ${why}. Train the exit, then choose again.`
  return (
    `${depth}: ${why}, but here ${formatShare(agreement, 0)} agree, and were exactly these known, decoding would be ` +
    `${formatTimes(speedupLimit)} as fast, more than at any other layer. Train the exit, then calibrate.`
  )
}
