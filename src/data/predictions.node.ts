// Predictions of any system: read from a text file, one a line, or from JSON lines, and written as either. JSON lines
// hold what lines of text cannot: line feeds in a text, tokens and times.
import { isUtf8 } from 'node:buffer'
import { writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { ShallowDeepError } from '../errors.js'
import type { Prediction } from './examples.js'
import { readJsonRows } from './jsonl.node.js'
import { openBytes } from './openBytes.node.js'

const milliseconds = z.number().nonnegative().optional()

// Loose: other systems write keys of their own.
const predictionSchema: z.ZodType<Prediction> = z.looseObject({
  text: z.string(),
  tokens: z.array(z.number().int().nonnegative()).optional(),
  decodingMs: milliseconds,
  encoderMs: milliseconds,
})

/**
 * All predictions of a file, plain or gzipped, in its order. A file that ends in .jsonl or .ndjson has an object with a
 * `text` a line, as `generate --json` writes them; its empty lines are none. Any other file has a prediction a line:
 * lines end with LF or CR LF, the last one may go without, an empty line is an empty prediction, and an empty file has
 * none. Other spaces are kept.
 * Throws `data.bad-prediction` (names the line), `data.not-utf8`, and the errors of opening.
 */
export async function readPredictions(path: string): Promise<Prediction[]> {
  return isJsonLines(path) ? readJsonPredictions(path) : readLines(path)
}

/**
 * Writes predictions so that {@link readPredictions} reads them: JSON lines by the same endings, else a text a line, in
 * which a line break becomes a space. Returns how many texts had one.
 */
export async function writePredictions(path: string, predictions: readonly Prediction[]): Promise<number> {
  if (isJsonLines(path)) {
    await writeFile(path, predictions.map((prediction) => `${JSON.stringify(prediction)}\n`).join(''))
    return 0
  }
  const texts = predictions.map(({ text }) => text.replace(/\r\n|[\r\n]/g, ' '))
  await writeFile(path, texts.map((text) => `${text}\n`).join(''))
  return texts.filter((text, i) => text !== predictions[i].text).length
}

function isJsonLines(path: string): boolean {
  return /\.(jsonl|ndjson)(\.gz)?$/i.test(path)
}

async function readLines(path: string): Promise<Prediction[]> {
  const chunks: Buffer[] = []
  for await (const chunk of openBytes(path)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  if (!isUtf8(bytes)) {
    throw new ShallowDeepError({
      code: 'data.not-utf8',
      message: `${path}: expected predictions in UTF-8, one a line, found other bytes`,
      hint: 'save the file as UTF-8',
      details: { path },
    })
  }
  const lines = bytes.toString('utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line) => ({ text: line.replace(/\r$/, '') }))
}

async function readJsonPredictions(path: string): Promise<Prediction[]> {
  const predictions: Prediction[] = []
  for await (const row of readJsonRows(openBytes(path))) {
    if ('fault' in row) throw badPrediction(path, row.fault.line, row.fault.reason)
    const { success, data, error } = predictionSchema.safeParse(row.fields)
    if (!success) {
      const key = error.issues[0].path[0]
      throw badPrediction(path, row.line, `"${String(key)}": ${error.issues[0].message}`)
    }
    const { text, tokens, decodingMs, encoderMs } = data
    predictions.push({ text, tokens, decodingMs, encoderMs })
  }
  return predictions
}

function badPrediction(path: string, line: number, reason: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'data.bad-prediction',
    message: `${path}, line ${line}: ${reason}; expected an object with the prediction as its "text"`,
    hint: 'plain texts, one a line, belong in a file with another ending, such as .txt',
    details: { path, line, reason },
  })
}
