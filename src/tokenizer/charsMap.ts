// The compiled replacement table of a SentencePiece normaliser ("precompiled_charsmap") and its two readings: SentencePiece
// replaces the longest match; the `tokenizers` library looks up a whole grapheme cluster, and of its matches the shortest.
// Layout: the size of a double-array trie over UTF-8 bytes (uint32, little-endian; darts-clone's units), the trie, then
// replacements, each ended by a zero byte, to which the trie's values point.

/** Most bytes of one replacement (nmt_nfkc: 33), so that a small text cannot become a huge one. */
const MAX_REPLACEMENT_BYTES = 256

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** What stands in a text at some position, and what replaces it. */
export interface Replacement {
  /** Code unit after what is replaced. */
  readonly end: number
  readonly text: string
}

/** The table, ready to be looked up. Reads of a damaged trie find nothing where they would leave it. */
export class CharsMap {
  private readonly units: Uint32Array
  private readonly texts: Uint8Array
  private readonly decoded = new Map<number, string>()

  /** @param blob the whole table. Throws RangeError for what is none. */
  constructor(blob: Uint8Array) {
    const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
    const size = blob.length < 4 ? 0 : view.getUint32(0, true)
    if (size === 0 || size % 4 !== 0 || size > blob.length - 4) {
      throw new RangeError(`expected a trie of whole units within ${blob.length} bytes, got ${size} bytes`)
    }
    this.units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true))
    this.texts = blob.subarray(4 + size)
    let length = 0
    for (const byte of this.texts) {
      length = byte === 0 ? 0 : length + 1
      if (length > MAX_REPLACEMENT_BYTES) {
        throw new RangeError(`expected replacements of at most ${MAX_REPLACEMENT_BYTES} bytes`)
      }
    }
  }

  /** The replacement of the shortest or longest key among those that begin at `start` and end at `end` or before. */
  find(text: string, start: number, end: number, which: 'shortest' | 'longest'): Replacement | undefined {
    const { units } = this
    let node = offsetOf(units[0])
    let found: Replacement | undefined
    for (let at = start; at < end;) {
      const character = text.codePointAt(at)!
      at += character > 0xffff ? 2 : 1
      const numBytes = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4
      let unit = 0
      for (let i = 0; i < numBytes; i++) {
        const byte = byteOf(character, i, numBytes)
        node ^= byte
        unit = node < units.length && node >= 0 ? units[node] : NO_UNIT
        if ((unit & LABEL_BITS) !== byte) return found
        node ^= offsetOf(unit)
      }
      if ((unit & HAS_LEAF) === 0 || node < 0 || node >= units.length) continue
      const replacement = this.textAt(units[node] & 0x7fffffff)
      if (replacement === undefined) continue
      found = { end: at, text: replacement }
      if (which === 'shortest') return found
    }
    return found
  }

  private textAt(offset: number): string | undefined {
    if (offset >= this.texts.length) return undefined
    let text = this.decoded.get(offset)
    if (text === undefined) {
      const end = this.texts.indexOf(0, offset)
      text = utf8.decode(this.texts.subarray(offset, end < 0 ? undefined : end))
      this.decoded.set(offset, text)
    }
    return text
  }
}

const HAS_LEAF = 1 << 8
const LABEL_BITS = 0x800000ff | 0
/** A unit whose label is no byte. */
const NO_UNIT = 0x80000000

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & (1 << 9)) >>> 6)
}

/** Byte `i` of the `numBytes` bytes of a character in UTF-8. */
function byteOf(character: number, i: number, numBytes: number): number {
  if (numBytes === 1) return character
  const bits = character >>> (6 * (numBytes - 1 - i))
  return i > 0 ? 0x80 | (bits & 0x3f) : ((0xf00 >>> numBytes) & 0xff) | bits
}
