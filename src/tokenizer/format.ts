// What every reader of a tokenizer file shares: its errors, and values shown in them.
import { ShallowDeepError } from '../errors.js'

/** The error for what is not a tokenizer.json (or a SentencePiece model), or a damaged one. */
export function invalidTokenizer(
  source: string,
  problem: string,
  { cause, format = 'tokenizer.json' }: InvalidOptions = {},
): ShallowDeepError {
  return new ShallowDeepError({
    code: 'tokenizer.invalid',
    message: `${source} is not a ${format}: ${oneLine(problem)}`,
    hint: 'give a tokenizer.json in the Hugging Face format, or a SentencePiece model (spiece.model)',
    details: { source },
    cause,
  })
}

interface InvalidOptions {
  readonly cause?: unknown
  /** What it was taken for. */
  readonly format?: 'tokenizer.json' | 'SentencePiece model'
}

/** The error for a part that would not be computed exactly. */
export function unsupportedTokenizer(source: string, part: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'tokenizer.unsupported',
    message: `${source}: ${oneLine(part)} is not supported, because its ids would not be exactly the reference's`,
    hint: 'bring a tokenizer without that part, or train one with shallowdeep tokenizer train',
    details: { source, part },
  })
}

/** The error for a tokenizer without a token that models need. */
export function missingSpecialToken(
  source: string,
  role: string,
  candidates: readonly string[],
): ShallowDeepError {
  return new ShallowDeepError({
    code: 'tokenizer.missing-special-token',
    message: `${source}: expected a ${role} token (${candidates.join(' or ')}), found none`,
    hint: `add one of them to the tokenizer's added_tokens`,
    details: { source, role },
  })
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value in a few characters, for messages. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value) && value.length > 0) return `a list of ${value.length}`
  if (isObject(value)) return 'an object'
  return shorten(JSON.stringify(value))
}

/** A text on one line and of a length that a message can bear. */
function oneLine(text: string): string {
  return shorten(text.replace(/\s+/g, ' '), 300)
}

function shorten(text: string, limit = 60): string {
  return text.length > limit ? `${text.slice(0, limit - 3)}...` : text
}
