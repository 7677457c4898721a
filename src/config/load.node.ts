// Reads configuration files: YAML, or JSON, which is YAML too. The lines of the keys are kept for messages.
import { readFile } from 'node:fs/promises'
import { isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml'
import { ShallowDeepError } from '../errors.js'

/** A configuration file as it was read, unchecked beyond being a mapping. */
export interface ConfigFile {
  /** As it was given. */
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
  /** The line, from 1, on which a top-level key stands; undefined for a key that does not. */
  lineOf(key: string): number | undefined
}

/**
 * Reads a configuration file; an empty one has no values. Throws `config.missing-file`, `config.unreadable-file`,
 * `config.bad-syntax` (with line and column) and `config.not-a-mapping`.
 */
export async function loadConfigFile(path: string): Promise<ConfigFile> {
  const text = await readText(path)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const fault = document.errors[0] ?? document.warnings[0]
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0])
    throw new ShallowDeepError({
      code: 'config.bad-syntax',
      message: `${path}, line ${line}, column ${col}: ${firstSentence(fault.message)}`,
      hint: 'the file must be YAML or JSON: one option a line, as maxPending: 8',
      details: { path, line, column: col },
    })
  }
  const values: unknown = document.toJS() ?? {}
  if (typeof values !== 'object' || Array.isArray(values)) {
    throw new ShallowDeepError({
      code: 'config.not-a-mapping',
      message: `${path}: expected options and their values, got ${Array.isArray(values) ? 'a list' : `a ${typeof values}`}`,
      hint: 'write one option a line, as maxPending: 8',
      details: { path },
    })
  }
  return {
    path,
    values: values as Record<string, unknown>,
    lineOf: (key) => lineOf(document, key, lines),
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new ShallowDeepError({
      code: isMissing ? 'config.missing-file' : 'config.unreadable-file',
      message: isMissing
        ? `there is no configuration file ${path}`
        : `the configuration file ${path} can't be read: ${(cause as Error).message}`,
      hint: isMissing ? 'check the path; it is taken from the current folder' : undefined,
      details: { path },
      cause,
    })
  }
}

function lineOf(document: Document, key: string, lines: LineCounter): number | undefined {
  if (!isMap(document.contents)) return undefined
  const pair = document.contents.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
  const range = isScalar(pair?.key) ? pair.key.range : undefined
  return range ? lines.linePos(range[0]).line : undefined
}

/** The parser's message without the place and the excerpt that it adds. */
function firstSentence(message: string): string {
  return message.split('\n')[0].replace(/ at line \d+, column \d+:?$/, '')
}
