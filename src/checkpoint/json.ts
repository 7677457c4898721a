// JSON files of a checkpoint: objects, read with the place of what is wrong, and written as text.
import { ShallowDeepError } from '../errors.js'
import { findJsonError } from './jsonPosition.js'

/** A parsed JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>

/** JSON as the text of a file. */
export function toJsonText(json: JsonObject): string {
  return `${JSON.stringify(json, null, 2)}\n`
}

/**
 * The JSON object in `bytes`. Throws `checkpoint.bad-json` (no UTF-8, or no JSON: with line and column) and
 * `checkpoint.wrong-type` (JSON, but no object).
 */
export function parseJsonObject(bytes: Uint8Array, source: string): JsonObject {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw badJson(source, 'is no UTF-8 text', {})
  }
  const place = findJsonError(text)
  if (place) {
    const what =
      text.trim() === '' ? 'is empty' : `is no JSON from line ${place.line}, column ${place.column} on`
    throw badJson(source, what, place)
  }
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ShallowDeepError({
      code: 'checkpoint.wrong-type',
      message: `${source}: expected a JSON object, got ${value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`}`,
      hint: 'is it the right file?',
      details: { source },
    })
  }
  return value as JsonObject
}

function badJson(source: string, what: string, details: JsonObject): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.bad-json',
    message: `${source} ${what}`,
    hint: 'the file is damaged or was edited by hand: correct it or copy it again',
    details: { source, ...details },
  })
}
