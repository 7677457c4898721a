// Pieces that stand for one byte, `<0x41>`: how a vocabulary with byte fallback spells characters that it lacks.

const BYTE_PIECE = /^<0x([0-9a-fA-F]{2})>$/

/** The piece of a byte. */
export function pieceOfByte(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
}

/** The byte of a piece, or undefined. */
export function byteOfPiece(piece: string): number | undefined {
  const digits = piece.length === 6 ? BYTE_PIECE.exec(piece)?.[1] : undefined
  return digits === undefined ? undefined : Number.parseInt(digits, 16)
}
