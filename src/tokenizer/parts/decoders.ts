// What tokenizer.json calls decoders: from pieces to the text they stand for.
import { z } from 'zod'
import { byteOfPiece } from '../bytePieces.js'
import { FuseDecoder, StripDecoder, type LibraryDecoder } from './library.js'
import { definePart, type PartKind } from './part.js'
import { makeReplace, replaceSchema } from './replace.js'

export type Decoder = (pieces: readonly string[]) => string[]

const metaspaceSchema = z.object({
  replacement: z.string().min(1).max(2).default('▁'),
  prepend_scheme: z.enum(['always', 'first', 'never']).default('always'),
})
const stripSchema = z.object({
  content: z.string().length(1),
  start: z.int().nonnegative(),
  stop: z.int().nonnegative(),
})

/**
 * The decoders that give the reference's results. The library's own Metaspace, ByteFallback and ByteLevel differ: in
 * several marks at the start, in damaged bytes and a byte order mark, in added tokens.
 */
export const DECODERS: PartKind<Decoder> = {
  key: 'decoder',
  list: 'decoders',
  types: new Map([
    ['ByteFallback', definePart(z.object({}), () => decodeBytePieces)],
    ['ByteLevel', definePart(z.object({}), () => decodeByteLevel)],
    [
      'Fuse',
      definePart(
        z.object({}),
        fromLibrary(() => new FuseDecoder({})),
      ),
    ],
    ['Metaspace', definePart(metaspaceSchema, makeMetaspace)],
    [
      'Replace',
      definePart(replaceSchema, (fields): Decoder => {
        const replace = makeReplace(fields)
        return (pieces) => pieces.map(replace)
      }),
    ],
    [
      'Strip',
      definePart(
        stripSchema,
        fromLibrary((fields) => new StripDecoder(fields)),
      ),
    ],
  ]),
}

/** Whether a chain of decoders turns pieces like `<0x41>` into bytes. */
export function joinsBytes(decoders: readonly Decoder[]): boolean {
  return decoders.includes(decodeBytePieces)
}

function fromLibrary<T>(make: (fields: T) => LibraryDecoder): (fields: T) => Decoder {
  return (fields) => {
    const decoder = make(fields)
    return (pieces) => decoder.decode_chain(pieces)
  }
}

/** Marks become spaces; those of the first piece go. */
function makeMetaspace({ replacement, prepend_scheme }: z.infer<typeof metaspaceSchema>): Decoder {
  return (pieces) =>
    pieces.map((piece, i) => {
      return piece.replaceAll(replacement, i === 0 && prepend_scheme !== 'never' ? '' : ' ')
    })
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** Each run of byte pieces becomes its characters, or, where it is no UTF-8, one replacement character a byte. */
function decodeBytePieces(pieces: readonly string[]): string[] {
  const decoded: string[] = []
  let bytes: number[] = []
  const endRun = (): void => {
    if (bytes.length === 0) return
    try {
      decoded.push(strictUtf8.decode(Uint8Array.from(bytes)))
    } catch {
      decoded.push('\ufffd'.repeat(bytes.length))
    }
    bytes = []
  }
  for (const piece of pieces) {
    const byte = byteOfPiece(piece)
    if (byte !== undefined) {
      bytes.push(byte)
      continue
    }
    endRun()
    decoded.push(piece)
  }
  endRun()
  return decoded
}

/** GPT-2's characters for bytes: printable ones stand for themselves, the others for U+0100 and on. */
const BYTE_OF_CHARACTER = (() => {
  const bytes = new Map<string, number>()
  let next = 0x100
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    bytes.set(String.fromCharCode(isPrintable ? byte : next++), byte)
  }
  return bytes
})()

/** All pieces' bytes as one text; a piece with a character that stands for no byte is text itself. */
function decodeByteLevel(pieces: readonly string[]): string[] {
  const bytes = pieces.flatMap((piece) => {
    const own = Array.from(piece, (character) => BYTE_OF_CHARACTER.get(character))
    return own.includes(undefined) ? [...new TextEncoder().encode(piece)] : (own as number[])
  })
  return [utf8.decode(Uint8Array.from(bytes))]
}
