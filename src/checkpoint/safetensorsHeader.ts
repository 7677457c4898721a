// The header of a safetensors file: 8 bytes little-endian length, then JSON. It is not trusted: every claim is checked
// against the size of the file before anything is allocated or read for it. Shared by the readers of buffers and of files.
import { ShallowDeepError } from '../errors.js'
import { findUnplainNumber, findLoneSurrogate, findRepeatedName } from './strictJson.js'
import { BYTES_PER_ELEMENT, countElements, quoteName } from './tensor.js'
import type { SafetensorsDtype, TensorHeader } from './tensor.js'

/** Bytes of the length that a safetensors file begins with. */
export const LENGTH_BYTES = 8

/** The reference implementation's bound on the header. */
const MAX_HEADER_BYTES = 100_000_000

/** A tensor's header entry, checked: its bytes are those from `begin` to `end`, counted from the start of the file. */
export interface TensorEntry extends TensorHeader {
  readonly begin: number
  readonly end: number
}

/** A checked header; `metadata` is empty where the file has none. */
export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, TensorEntry>
  readonly metadata: Readonly<Record<string, string>>
}

interface NamedEntry extends TensorEntry {
  readonly name: string
}

/**
 * Where the data of a file begin, from its first {@link LENGTH_BYTES} (or all it has).
 * Throws `checkpoint.truncated` and `checkpoint.bad-header`.
 * @param sizeBytes of the whole file
 */
export function findDataStart(bytes: Uint8Array, sizeBytes: number, source: string): number {
  if (sizeBytes < LENGTH_BYTES) {
    throw new ShallowDeepError({
      code: 'checkpoint.truncated',
      message: `${source}: expected at least the 8 bytes of a safetensors header length, got ${sizeBytes}`,
      hint: 'the file is empty or cut off: copy or download it again',
      details: { source, sizeBytes },
    })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES)
  const headerBytes = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true)
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new ShallowDeepError({
      code: 'checkpoint.bad-header',
      message: `${source}: the safetensors header claims ${headerBytes} bytes, at most ${MAX_HEADER_BYTES} are allowed`,
      hint: 'is it a safetensors file? PyTorch .bin and ONNX files are not',
      details: { source, headerBytes },
    })
  }
  if (headerBytes > sizeBytes - LENGTH_BYTES) {
    throw new ShallowDeepError({
      code: 'checkpoint.truncated',
      message: `${source}: the header claims ${headerBytes} bytes, the file has ${sizeBytes - LENGTH_BYTES} after its length`,
      hint: 'the file is cut off, or is no safetensors file: copy or download it again',
      details: { source, headerBytes, sizeBytes },
    })
  }
  return LENGTH_BYTES + headerBytes
}

/**
 * The checked header of a file. Throws `checkpoint.bad-header` (text, JSON or an entry's form),
 * `checkpoint.duplicate-name`, `checkpoint.unsupported-dtype`, `checkpoint.bad-shape`, `checkpoint.truncated` (a tensor
 * ends beyond the file) and `checkpoint.bad-offsets` (reversed, overlapping, with holes or of another size than the shape
 * says).
 * @param bytes the JSON: what lies between the length and the data
 * @param sizeBytes of the whole file
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  sizeBytes: number,
  source: string,
): SafetensorsHeader {
  const dataStart = LENGTH_BYTES + bytes.length
  const dataBytes = sizeBytes - dataStart
  const { text, header } = parseJson(bytes, source)
  const found: NamedEntry[] = []
  let metadata: Readonly<Record<string, string>> = {}
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(value, source)
    else found.push(checkEntry(name, value, { dataBytes, source }))
  }
  checkLayout(found, dataBytes, source)
  // Last, so that numbers that are wrong by value are told as what they are: sizes or offsets.
  const number = findUnplainNumber(text)
  if (number !== undefined) {
    throw badHeader(source, `expected whole numbers in plain digits, got ${quoteName(number)}`)
  }
  const entries = found.map(({ name, dtype, shape, begin, end }): [string, TensorEntry] => [
    name,
    { dtype, shape, begin: dataStart + begin, end: dataStart + end },
  ])
  return { entries: new Map(entries), metadata }
}

function badHeader(source: string, what: string, details: Record<string, unknown> = {}): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.bad-header',
    message: `${source}: ${what}`,
    hint: 'the safetensors header is damaged: copy or download the file again',
    details: { source, ...details },
  })
}

function parseJson(
  bytes: Uint8Array,
  source: string,
): { readonly text: string; readonly header: Record<string, unknown> } {
  // The format demands the brace as the first byte (no blank, no byte order mark); JSON.parse would let both pass.
  if (bytes[0] !== 0x7b) throw badHeader(source, 'expected a safetensors header that begins with {')
  let text: string
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    header = JSON.parse(text)
  } catch (cause) {
    const reason =
      cause instanceof SyntaxError ? `is no JSON: ${firstLine(cause.message)}` : 'is no UTF-8 text'
    throw badHeader(source, `the safetensors header ${reason}`)
  }
  const repeated = findRepeatedName(text)
  if (repeated !== undefined) {
    throw new ShallowDeepError({
      code: 'checkpoint.duplicate-name',
      message: `${source}: the name ${quoteName(repeated)} occurs twice in the header`,
      hint: 'such a file means different things to different readers: write it anew',
      details: { source, name: repeated },
    })
  }
  const half = findLoneSurrogate(text)
  if (half !== undefined) throw badHeader(source, `the text ${quoteName(half)} holds half of a character`)
  return { text, header: header as Record<string, unknown> }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0].slice(0, 200)
}

function checkMetadata(value: unknown, source: string): Record<string, string> {
  if (!isRecord(value) || !Object.values(value).every((item) => typeof item === 'string')) {
    throw badHeader(source, 'expected __metadata__ to be an object of strings')
  }
  return value as Record<string, string>
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const ENTRY_KEYS = new Set(['dtype', 'shape', 'data_offsets'])

function checkEntry(name: string, value: unknown, file: { dataBytes: number; source: string }): NamedEntry {
  const { source, dataBytes } = file
  const label = `tensor ${quoteName(name)}`
  if (!isRecord(value)) throw badHeader(source, `${label}: expected an object`, { name })
  const stray = Object.keys(value).find((key) => !ENTRY_KEYS.has(key))
  if (stray !== undefined) throw badHeader(source, `${label}: unknown key ${quoteName(stray)}`, { name })
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES_PER_ELEMENT, dtype)) {
    throw new ShallowDeepError({
      code: 'checkpoint.unsupported-dtype',
      message: `${source}: ${label} has dtype ${quoteName(String(dtype))}, expected one of ${Object.keys(BYTES_PER_ELEMENT).join(', ')}`,
      hint: 'convert the file to float32, float16 or bfloat16',
      details: { source, name, dtype },
    })
  }
  const numElements = Array.isArray(shape) ? countElements(shape) : undefined
  if (numElements === undefined) {
    throw new ShallowDeepError({
      code: 'checkpoint.bad-shape',
      message: `${source}: ${label}: expected a shape of non-negative integers with a product below 2^53`,
      hint: 'the safetensors header is damaged: copy or download the file again',
      details: { source, name },
    })
  }
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : []
  if (!isOffset(begin) || !isOffset(end) || begin > end) {
    throw badOffsets(source, `${label}: expected two rising byte offsets as data_offsets`, { name })
  }
  if (end > dataBytes) {
    throw new ShallowDeepError({
      code: 'checkpoint.truncated',
      message: `${source}: ${label} claims the data bytes ${begin} to ${end}, the file has ${dataBytes}`,
      hint: 'the file is cut off: copy or download it again',
      details: { source, name, begin, end, dataBytes },
    })
  }
  const expected = numElements * BYTES_PER_ELEMENT[dtype as SafetensorsDtype]
  if (end - begin !== expected) {
    throw badOffsets(
      source,
      `${label}: ${dtype} of its shape takes ${expected} bytes, its offsets span ${end - begin}`,
      { name },
    )
  }
  return { name, dtype: dtype as SafetensorsDtype, shape: shape as number[], begin, end }
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function badOffsets(source: string, what: string, details: Record<string, unknown>): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.bad-offsets',
    message: `${source}: ${what}`,
    hint: 'the safetensors header is damaged: copy or download the file again',
    details: { source, ...details },
  })
}

/** The tensors must cover the data bytes without overlap, hole or rest: nothing may hide in a file. */
function checkLayout(entries: readonly NamedEntry[], dataBytes: number, source: string): void {
  const inOrder = entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)
  let covered = 0
  for (const { name, begin, end } of inOrder) {
    if (begin !== covered) {
      const what =
        begin < covered ? 'overlaps the tensor before it' : `leaves a hole of ${begin - covered} bytes`
      throw badOffsets(source, `tensor ${quoteName(name)} at data byte ${begin} ${what}`, { name })
    }
    covered = end
  }
  if (covered !== dataBytes) {
    throw badOffsets(source, `${dataBytes - covered} bytes after the last tensor belong to none`, {
      extraBytes: dataBytes - covered,
    })
  }
}
