// Rows of JSON lines: one object a line, streamed. Empty lines are none.
import { isUtf8 } from 'node:buffer'
import type { BadRow } from './examples.js'

/** An object and its line, or what is wrong with the line. */
export type JsonRow =
  { readonly line: number; readonly fields: Readonly<Record<string, unknown>> } | { readonly fault: BadRow }

const LINE_FEED = 10

/** All rows; faults come in their place. */
export async function* readJsonRows(chunks: AsyncIterable<Buffer>): AsyncGenerator<JsonRow, void, undefined> {
  let line = 0
  let parts: Buffer[] = []
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      parts.push(chunk.subarray(start, end))
      line++
      const row = parseLine(parts.length === 1 ? parts[0] : Buffer.concat(parts), line)
      if (row !== undefined) yield row
      parts = []
      start = end + 1
    }
    if (start < chunk.length) parts.push(chunk.subarray(start))
  }
  const last = parseLine(Buffer.concat(parts), line + 1)
  if (last !== undefined) yield last
}

function parseLine(bytes: Buffer, line: number): JsonRow | undefined {
  const fault = (reason: string): JsonRow => ({ fault: { line, column: undefined, reason } })
  if (!isUtf8(bytes)) return fault('not valid UTF-8')
  const text = bytes.toString('utf8')
  if (text.trim() === '') return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { line, fields: value as Record<string, unknown> }
    }
    return fault(
      `expected a JSON object, got ${Array.isArray(value) ? 'an array' : JSON.stringify(value).slice(0, 40)}`,
    )
  } catch (error) {
    return fault(`not valid JSON: ${(error as Error).message}`)
  }
}
