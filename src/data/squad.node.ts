// Questions of a SQuAD v1.1 file (Rajpurkar et al. 2016) as examples. The file is one JSON value, so it is read whole.
// `answer_start` is not used: the model writes its answer, and the metrics compare texts.
import { isUtf8 } from 'node:buffer'
import { ShallowDeepError } from '../errors.js'
import type { Example, BadRow } from './examples.js'
import type { Fields } from './fields.js'
import { openBytes } from './openBytes.node.js'
import { questionSource } from './tasks/questionAnswering.js'

/** An example, or which key makes a question unusable and why. */
export type SquadRow = Example | { readonly fault: BadRow }

/**
 * The questions in the order of the file: source `question: ... context: ...`, targets the answers, equal ones once.
 * Faults come in their place; their column is the path of the key, their line that of the question's id.
 * Throws `data.bad-squad` where the file as a whole has another form, and what {@link openBytes} throws.
 * Of the fields only this counts: without targets, questions need no answers.
 */
export async function* readSquad(path: string, fields: Fields): AsyncGenerator<SquadRow, void, undefined> {
  const hasTarget = fields.targets.length > 0
  const text = await readText(path)
  const articles = listAt(parse(path, text), 'data')
  if (articles === undefined) throw badSquad(path, 'expected an object with a list "data"')
  const lineOf = lineFinder(text)
  for (const [a, article] of articles.entries()) {
    const paragraphs = listAt(article, 'paragraphs')
    if (paragraphs === undefined) throw badSquad(path, `data[${a}]: expected a list "paragraphs"`)
    for (const [p, paragraph] of paragraphs.entries()) {
      const place = `data[${a}].paragraphs[${p}]`
      const questions = listAt(paragraph, 'qas')
      if (questions === undefined) throw badSquad(path, `${place}: expected a list "qas"`)
      const context = valueAt(paragraph, 'context')
      for (const [q, question] of questions.entries()) {
        const line = lineOf(valueAt(question, 'id'))
        const fault = (column: string, reason: string): SquadRow => ({ fault: { line, column, reason } })
        const asked = valueAt(question, 'question')
        const answers = hasTarget ? answersOf(question) : []
        const key = `${place}.qas[${q}]`
        if (!isText(context)) yield fault(`${place}.context`, 'expected a text that is not empty')
        else if (!isText(asked)) yield fault(`${key}.question`, 'expected a text that is not empty')
        else if (typeof answers === 'string') yield fault(`${key}.answers`, answers)
        else yield { source: questionSource(asked, context), targets: answers }
      }
    }
  }
}

async function readText(path: string): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of openBytes(path)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  if (!isUtf8(bytes)) throw badSquad(path, 'not valid UTF-8')
  return bytes.toString('utf8')
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw badSquad(path, `not valid JSON: ${(cause as Error).message}`, cause)
  }
}

function badSquad(path: string, reason: string, cause?: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'data.bad-squad',
    message: `${path}: ${reason}; a .json file is read as SQuAD v1.1`,
    hint: 'one object a line belongs in a file that ends in .jsonl',
    details: { path, reason },
    cause,
  })
}

/** The texts of a question's answers, equal ones once, or what is wrong with them. */
function answersOf(question: unknown): string[] | string {
  const answers = listAt(question, 'answers')
  if (answers === undefined) return 'expected a list of answers'
  if (answers.length === 0) return 'the question has no answer'
  const texts = answers.map((answer) => valueAt(answer, 'text'))
  return texts.every(isText) ? [...new Set(texts)] : 'expected a "text" that is not empty in each answer'
}

/**
 * Finds a question's line by its id. Questions are asked for in file order, so the search goes on where it stopped; an id
 * that is written with escapes is not found, and then the line of the question before stands for it.
 */
function lineFinder(text: string): (id: unknown) => number {
  let line = 1
  let position = 0
  return (id) => {
    const found = typeof id === 'string' ? text.indexOf(JSON.stringify(id), position) : -1
    for (; position < found; position++) if (text.charCodeAt(position) === 10) line++
    return line
  }
}

function valueAt(value: unknown, key: string): unknown {
  const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, key)
  return isObject ? (value as Record<string, unknown>)[key] : undefined
}

function listAt(value: unknown, key: string): readonly unknown[] | undefined {
  const list = valueAt(value, key)
  return Array.isArray(list) ? (list as unknown[]) : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}
