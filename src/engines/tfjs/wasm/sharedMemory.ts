// Memory that several threads see. tfjs's build with SIMD has a memory of its own; declared as shared it is one of these,
// and nothing else about the module changes.

const [IMPORTS, MEMORIES] = [2, 5]
/** Kinds of imports, in the order of their numbers. */
const [FUNCTION, TABLE, MEMORY] = [0, 1, 2]
const [HAS_MAXIMUM, IS_SHARED] = [1, 2]

/**
 * A WebAssembly module that imports or defines one memory with a maximum, as one whose memory is shared; the same size.
 * Throws a plain Error where there is none: it is for modules that are known.
 */
export function withSharedMemory(module: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(module)
  // After the magic number and the version: sections, each with its number, its size, and its content.
  const reader = new Reader(bytes, 8)
  while (reader.at < bytes.length) {
    const section = reader.byte()
    const end = reader.number() + reader.at
    const flags =
      section === IMPORTS ? importedMemory(reader) : section === MEMORIES ? definedMemory(reader) : undefined
    if (flags !== undefined) {
      if ((bytes[flags] & HAS_MAXIMUM) === 0) throw new Error('a shared memory needs a maximum')
      bytes[flags] |= IS_SHARED
      return bytes
    }
    reader.at = end
  }
  throw new Error('the module has no memory')
}

/** Where the limits' flags of the imported memory stand, if there is one. */
function importedMemory(reader: Reader): number | undefined {
  for (let left = reader.number(); left > 0; left--) {
    reader.text() // of the module
    reader.text() // and of the memory in it
    const kind = reader.byte()
    if (kind === MEMORY) return reader.at
    if (kind === FUNCTION) reader.number()
    else if (kind === TABLE) {
      reader.byte()
      reader.limits()
    } else reader.at += 2 // a global: its type, and whether it changes
  }
  return undefined
}

function definedMemory(reader: Reader): number | undefined {
  return reader.number() > 0 ? reader.at : undefined
}

class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  byte(): number {
    return this.bytes[this.at++]
  }

  /** An unsigned number in LEB128. */
  number(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }

  text(): void {
    const length = this.number()
    this.at += length
  }

  limits(): void {
    const flags = this.byte()
    this.number()
    if ((flags & HAS_MAXIMUM) > 0) this.number()
  }
}
