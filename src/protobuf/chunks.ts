// Protobuf messages in pieces: what a message holds of weights is referred to, not copied, however deep it is nested, so
// that a model of a gigabyte is in memory once until somebody joins it or writes it to a file.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/** Bytes in pieces, in order. */
export interface Chunks {
  readonly length: number
  readonly pieces: readonly Uint8Array[]
}

/** Writes one message, field by field. Numbers are varints; signed ones in ten bytes, as protobuf's int64 has them. */
export class MessageWriter {
  private readonly pieces: Uint8Array[] = []
  private length = 0

  int(field: number, value: number): this {
    return this.write((writer) => writer.tag(field, WireType.Varint).int64(value))
  }

  float(field: number, value: number): this {
    return this.write((writer) => writer.tag(field, WireType.Bit32).float(value))
  }

  string(field: number, value: string): this {
    return this.write((writer) => writer.tag(field, WireType.LengthDelimited).string(value))
  }

  /** Not copied: the bytes must not change until the message is used. */
  bytes(field: number, value: Uint8Array): this {
    return this.message(field, { length: value.byteLength, pieces: [value] })
  }

  message(field: number, message: Chunks): this {
    this.write((writer) => writer.tag(field, WireType.LengthDelimited).uint32(message.length))
    for (const piece of message.pieces) this.pieces.push(piece)
    this.length += message.length
    return this
  }

  finish(): Chunks {
    return { length: this.length, pieces: this.pieces }
  }

  private write(fill: (writer: BinaryWriter) => void): this {
    const writer = new BinaryWriter()
    fill(writer)
    const bytes = writer.finish()
    this.pieces.push(bytes)
    this.length += bytes.length
    return this
  }
}

/** All pieces in one array. */
export function joinChunks({ length, pieces }: Chunks): Uint8Array {
  const joined = new Uint8Array(length)
  let to = 0
  for (const piece of pieces) {
    joined.set(piece, to)
    to += piece.length
  }
  return joined
}

/** Pieces from this size on are written as they are. */
const BLOCK_BYTES = 2 ** 16

/** The same bytes in pieces that are worth a write each. */
export function* blocksOf({ pieces }: Chunks): Generator<Uint8Array> {
  let small: Uint8Array[] = []
  let length = 0
  for (const piece of pieces) {
    if (piece.length < BLOCK_BYTES) {
      small.push(piece)
      length += piece.length
    }
    if (length >= BLOCK_BYTES || piece.length >= BLOCK_BYTES) {
      yield joinChunks({ pieces: small, length })
      small = []
      length = 0
    }
    if (piece.length >= BLOCK_BYTES) yield piece
  }
  yield joinChunks({ pieces: small, length })
}
