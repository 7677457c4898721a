// Colours of charts, pages and pictures. Each of the data colours has a contrast of at least 3 on white and on
// near-black, so that one picture serves both; pairs that meet in a picture differ under the common colour blindnesses
// too, and no meaning hangs on colour alone.
import type { OutputToken } from '../evaluation/index.js'
import type { RowKind } from './resultRow.js'

/** Text and background of pages in the two schemes. */
export const SCHEMES = {
  light: { text: '#1f2328', muted: '#59636e', background: '#ffffff' },
  dark: { text: '#e6edf3', muted: '#9198a1', background: '#0d1117' },
} as const

/** Blue for shallow, orange for deep. */
export const EXIT_COLOURS: Readonly<Record<OutputToken['exit'], string>> = {
  shallow: '#2674c4',
  deep: '#c2570c',
}

/** Colours by kind of row; `currentColor` takes the text's colour. */
export const KIND_COLOURS: Readonly<Record<RowKind, string>> = {
  full: 'currentColor',
  static: '#7d8590',
  fixed: EXIT_COLOURS.shallow,
  adaptive: EXIT_COLOURS.deep,
  lossless: '#0f8c66',
  rollback: '#b2589a',
  calm: '#9a7b08',
  other: '#7d8590',
}
