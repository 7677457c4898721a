// What the format's rules say of a safetensors file, decided independently of src/: with a JSON parser of its own and exact
// integers. The reference parser's verdicts on 2,000 files hold it to the truth (safetensorsGolden.test.ts).
import { createHash } from 'node:crypto'
import { parseStrictly, type StrictJson } from './strictParser.js'

/** A tensor's stored bytes. */
export interface RawTensor {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** A whole file's content. */
export interface RawContent {
  readonly tensors: ReadonlyMap<string, RawTensor>
  readonly metadata: ReadonlyMap<string, string>
}

/**
 * `whole`: a file that must be read, to this content. `broken`: one that must be refused. `unclear`: one that a lenient
 * reader takes and ours refuses on purpose: names given twice, unknown keys, entries that are lists, null for metadata,
 * sizes beyond 2^53 (of tensors without elements).
 */
export type Verdict =
  | { readonly kind: 'whole'; readonly content: RawContent }
  | { readonly kind: 'broken' }
  | { readonly kind: 'unclear' }

/** Bits of one element of the types that the reference of 2026 knows. */
const BITS: Readonly<Record<string, bigint>> = {
  BOOL: 8n,
  F4: 4n,
  F6_E2M3: 6n,
  F6_E3M2: 6n,
  U8: 8n,
  I8: 8n,
  F8_E5M2: 8n,
  F8_E4M3: 8n,
  F8_E8M0: 8n,
  F8_E4M3FNUZ: 8n,
  F8_E5M2FNUZ: 8n,
  I16: 16n,
  U16: 16n,
  F16: 16n,
  BF16: 16n,
  I32: 32n,
  U32: 32n,
  F32: 32n,
  C64: 64n,
  F64: 64n,
  I64: 64n,
  U64: 64n,
}
const MAX_USIZE = 2n ** 64n - 1n
const MAX_SAFE = 2n ** 53n - 1n
const BROKEN: Verdict = { kind: 'broken' }
const UNCLEAR: Verdict = { kind: 'unclear' }

interface Entry {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly bigint[]
  readonly begin: bigint
  readonly end: bigint
}

/** The verdict on the bytes of a file. */
export function judge(file: Uint8Array): Verdict {
  if (file.length < 8) return BROKEN
  let length = 0n
  for (let i = 7; i >= 0; i--) length = length * 256n + BigInt(file[i])
  if (length > 100_000_000n || length > BigInt(file.length - 8)) return BROKEN
  const dataStart = 8 + Number(length)
  if (file[8] !== 0x7b) return BROKEN
  const header = parseStrictly(file.subarray(8, dataStart))
  if (header?.kind !== 'object') return BROKEN
  const entries: Entry[] = []
  let metadata: ReadonlyMap<string, string> = new Map()
  let isUnclear = hasRepeats(header)
  for (const [name, value] of header.members) {
    if (name === '__metadata__') {
      const found = readMetadata(value)
      if (found === 'broken') return BROKEN
      if (found === 'unclear') isUnclear = true
      else metadata = found
      continue
    }
    const entry = readEntry(name, value)
    if (entry === 'broken') return BROKEN
    if (entry === 'unclear') isUnclear = true
    else entries.push(entry)
  }
  if (isUnclear) return UNCLEAR
  return layOut(entries, { file, dataStart, metadata })
}

function hasRepeats(value: StrictJson): boolean {
  if (value.kind === 'array') return value.items.some(hasRepeats)
  if (value.kind !== 'object') return false
  const names = value.members.map(([name]) => name)
  return new Set(names).size < names.length || value.members.some(([, inner]) => hasRepeats(inner))
}

function readMetadata(value: StrictJson): ReadonlyMap<string, string> | 'broken' | 'unclear' {
  if (value.kind === 'word' && value.value === null) return 'unclear'
  if (value.kind !== 'object') return 'broken'
  const pairs: [string, string][] = []
  for (const [key, item] of value.members) {
    if (item.kind !== 'string') return 'broken'
    pairs.push([key, item.value])
  }
  return new Map(pairs)
}

function readEntry(name: string, value: StrictJson): Entry | 'broken' | 'unclear' {
  // Lists in the order of the keys: a lenient reader's way of writing an entry.
  if (value.kind === 'array') return value.items.length === 3 ? 'unclear' : 'broken'
  if (value.kind !== 'object') return 'broken'
  const fields = new Map(value.members)
  const hasMore = value.members.some(([key]) => !['dtype', 'shape', 'data_offsets'].includes(key))
  const dtype = fields.get('dtype')
  const shape = integersOf(fields.get('shape'))
  const offsets = integersOf(fields.get('data_offsets'))
  if (dtype?.kind === 'object') return 'unclear'
  if (dtype?.kind !== 'string' || !Object.hasOwn(BITS, dtype.value)) return 'broken'
  if (shape === undefined || offsets?.length !== 2) return 'broken'
  return hasMore ? 'unclear' : { name, dtype: dtype.value, shape, begin: offsets[0], end: offsets[1] }
}

function integersOf(value: StrictJson | undefined): bigint[] | undefined {
  if (value?.kind !== 'array') return undefined
  const integers: bigint[] = []
  for (const item of value.items) {
    if (item.kind !== 'number' || !/^[0-9]+$/.test(item.text)) return undefined
    integers.push(BigInt(item.text))
  }
  return integers.every((integer) => integer <= MAX_USIZE) ? integers : undefined
}

function layOut(
  entries: readonly Entry[],
  file: { file: Uint8Array; dataStart: number; metadata: ReadonlyMap<string, string> },
): Verdict {
  const inOrder = entries.toSorted((a, b) => Number(a.begin - b.begin) || Number(a.end - b.end))
  let covered = 0n
  let isUnclear = false
  const tensors = new Map<string, RawTensor>()
  for (const { name, dtype, shape, begin, end } of inOrder) {
    let numElements = 1n
    for (const size of shape) {
      numElements *= size
      if (numElements > MAX_USIZE) return BROKEN
      if (size > MAX_SAFE || numElements > MAX_SAFE) isUnclear = true
    }
    const bits = BITS[dtype] * numElements
    if (begin !== covered || end < begin || bits !== (end - begin) * 8n) return BROKEN
    covered = end
    if (end > BigInt(file.file.length - file.dataStart)) return BROKEN
    tensors.set(name, {
      dtype,
      shape: shape.map(Number),
      bytes: file.file.subarray(file.dataStart + Number(begin), file.dataStart + Number(end)),
    })
  }
  if (BigInt(file.dataStart) + covered !== BigInt(file.file.length)) return BROKEN
  return isUnclear ? UNCLEAR : { kind: 'whole', content: { tensors, metadata: file.metadata } }
}

/** The digest that scripts/golden/safetensors_mutants.py defines. */
export function digestOf({ tensors, metadata }: RawContent): string {
  const hash = createHash('sha256')
  const field = (bytes: Uint8Array) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    hash.update(length).update(bytes)
  }
  const byName = <T>(map: ReadonlyMap<string, T>) =>
    [...map]
      .map(([name, value]) => ({ name: Buffer.from(name), value }))
      .sort((a, b) => Buffer.compare(a.name, b.name))
  for (const { name, value } of byName(tensors)) {
    for (const part of [name, Buffer.from(value.dtype), Buffer.from(value.shape.join()), value.bytes])
      field(part)
  }
  for (const { name, value } of byName(metadata)) {
    field(name)
    field(Buffer.from(value))
  }
  return hash.digest('hex')
}
