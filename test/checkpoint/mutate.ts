// Seeded damage to files: of any bytes, and of the header of safetensors files in ways that keep the rest in place.
import { writeSafetensors } from '../../src/checkpoint/index.js'
import type { Tensor } from '../../src/checkpoint/index.js'
import { type Random } from '../../src/random.js'

/** Small whole files of every type, shape and peculiarity that the format has. */
export function wholeFiles(): Uint8Array[] {
  const float = (shape: number[]): Tensor => ({
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i / 4 - 1),
  })
  const mixed = new Map<string, Tensor>([
    ['decoder.norm', float([6])],
    ['step', { shape: [3], data: Float64Array.of(0, 12, -7) }],
    ['ids', { shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) }],
    ['bytes', { shape: [5], data: Uint8Array.of(9, 8, 7, 6, 5) }],
  ])
  const odd = new Map<string, Tensor>([
    ['', float([])],
    ['none', float([0, 3])],
    ['ä▁😀', float([2, 1])],
    ['10', float([1])],
  ])
  return [
    writeSafetensors(mixed, { metadata: { format: 'pt' } }),
    writeSafetensors(mixed, { dtype: 'float16' }),
    writeSafetensors(odd, { dtype: 'bfloat16', metadata: { ü: '\n"\\', a: '' } }),
    writeSafetensors(new Map([['a', float([2, 3])]])),
    writeSafetensors(new Map()),
  ]
}

/** One to three damages: flipped bits, cuts, insertions, repeated parts, words and numbers of the header exchanged. */
export function mutate(original: Uint8Array, random: Random): Uint8Array {
  let bytes = Uint8Array.from(original)
  const numDamages = [1, 1, 2, 3][random.integer(4)]
  for (let k = 0; k < numDamages && bytes.length > 0; k++) {
    const kind = random.integer(8)
    if (kind < 4) bytes = damageBytes(bytes, random)
    else if (kind < 7) bytes = editHeader(bytes, random)
    else bytes = editEntries(bytes, random)
  }
  return bytes
}

/** One damage that knows nothing of the format. */
export function damageBytes(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const at = random.integer(bytes.length)
  const kind = random.integer(6)
  const inserted = () => Uint8Array.from({ length: 1 + random.integer(4) }, () => random.integer(256))
  if (kind === 0) return Uint8Array.from(bytes).with(at, bytes[at] ^ (1 << random.integer(8)))
  if (kind === 1) return Uint8Array.from(bytes.subarray(0, at))
  if (kind === 2) return Uint8Array.from(bytes).with(at % 8, random.integer(256))
  if (kind === 3) return splice(bytes, { at, removed: 0, inserted: inserted() })
  if (kind === 4) return splice(bytes, { at, removed: 1 + random.integer(8), inserted: new Uint8Array(0) })
  return splice(bytes, { at, removed: 0, inserted: bytes.slice(at, at + 1 + random.integer(24)) })
}

function splice(
  bytes: Uint8Array,
  { at, removed, inserted }: { at: number; removed: number; inserted: Uint8Array },
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...bytes.subarray(0, at), ...inserted, ...bytes.subarray(at + removed)])
}

const WORDS = [
  'F64',
  'F16',
  'BF16',
  'I64',
  'U8',
  'BOOL',
  'f32',
  'ids',
  'step',
  'shape',
  'dtype',
  'data_offsets',
]
const NAMES = ['__metadata__', '__proto__', 'constructor', '10', '', '\\u0061', '\\ud800', '\\x', 'a\\nb']
const NUMBERS = '0 -1 -0 1 4 8 16 24 1e3 4.0 0.5 01 9007199254740993 18446744073709551615 1e400'.split(' ')
const VALUES = [
  'null',
  'true',
  '[]',
  '{}',
  '"1"',
  '[[1]]',
  '{"a":1}',
  'NaN',
  '//',
  '\ufeff',
  '\u0000',
  '  \n',
]

/** One damage to a JSON text: bytes, or a number or string exchanged. */
export function mutateJson(text: Uint8Array, random: Random): Uint8Array {
  if (random.integer(3) === 0) return damageBytes(text, random)
  const plain = Buffer.from(text).toString()
  const pattern = random.integer(2) ? /-?\d[\d.e+-]*/g : /"[^"]*"|true|false|null/g
  const hits = [...plain.matchAll(pattern)]
  const { 0: hit, index } = hits[random.integer(hits.length)]
  const pool = [...NUMBERS, ...VALUES, hits[random.integer(hits.length)][0]]
  const chosen = pool[random.integer(pool.length)]
  return Uint8Array.from(Buffer.from(plain.slice(0, index) + chosen + plain.slice(index + hit.length)))
}

/** Exchanges a word, number or character of the header; its length follows, so that the data stay in place. */
function editHeader(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const { text, data } = split(bytes)
  const patterns = [/[A-Za-z_]\w*/g, /\d+/g, /"[^"]*"/g, /./g]
  const pools = [[...WORDS, ...NAMES], NUMBERS, [...VALUES, ...WORDS.map((word) => `"${word}"`)], VALUES]
  const kind = random.integer(4)
  const hits = [...text.matchAll(patterns[kind])]
  if (hits.length === 0) return Uint8Array.from(bytes)
  const { 0: hit, index } = hits[random.integer(hits.length)]
  const chosen = pools[kind][random.integer(pools[kind].length)]
  const end = index + (random.integer(5) === 0 ? 0 : hit.length)
  return join(text.slice(0, index) + chosen + text.slice(end), data)
}

/** Rewrites the header's JSON with one entry changed, moved, doubled or lost; where it is none, changes nothing. */
function editEntries(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const { text, data } = split(bytes)
  let header: Record<string, unknown>
  try {
    header = JSON.parse(text) as Record<string, unknown>
  } catch {
    return Uint8Array.from(bytes)
  }
  const names = Object.keys(header ?? {})
  const pick = () => names[random.integer(names.length)]
  const name = names.length === 0 ? 'a' : pick()
  const kind = random.integer(6)
  if (kind === 0) delete header[name]
  else if (kind === 1 && names.length > 0) {
    const other = pick()
    ;[header[name], header[other]] = [header[other], header[name]]
  } else if (kind === 2) header[`${name}2`] = header[name]
  else if (kind === 3) return join(JSON.stringify(header, null, random.integer(3)), data)
  else if (kind === 4) {
    const entry = header[name] as { shape?: unknown } | undefined
    if (Array.isArray(entry?.shape)) entry.shape = [...(entry.shape as unknown[]).toReversed(), 1]
  } else {
    const twice = `${JSON.stringify(name)}:${JSON.stringify(header[name] ?? {})}`
    return join(`${JSON.stringify(header).slice(0, -1)},${twice}}`, data)
  }
  return join(JSON.stringify(header), data)
}

/** Header and data, as far as the length can be believed. */
function split(bytes: Uint8Array): { text: string; data: Uint8Array } {
  const padded = Buffer.alloc(8)
  padded.set(bytes.subarray(0, 8))
  const end = 8 + Math.min(Math.max(0, bytes.length - 8), padded.readUInt32LE(0))
  return { text: Buffer.from(bytes.subarray(8, end)).toString(), data: bytes.subarray(end) }
}

function join(text: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = Buffer.from(text)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Uint8Array.from(Buffer.concat([length, header, data]))
}
