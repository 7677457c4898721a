// Colours that must be seen on white and on near-black, and told apart by everybody.
import assert from 'node:assert/strict'
import { EXIT_COLOURS, KIND_COLOURS, SCHEMES } from '../../src/report/palette.js'

type Rgb = readonly [number, number, number]

/** Linear light of a colour `#rrggbb`. */
function linear(colour: string): Rgb {
  const channel = (at: number) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }
  return [channel(1), channel(3), channel(5)]
}

function luminance([r, g, b]: Rgb): number {
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

/** Contrast of WCAG 2, 1 to 21. */
function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(linear(a)), luminance(linear(b))].sort((x, y) => x - y)
  return (light + 0.05) / (dark + 0.05)
}

// Full protanopia, deuteranopia and tritanopia after Machado, Oliveira and Fernandes (2009).
const VISION: Readonly<Record<string, readonly [Rgb, Rgb, Rgb]>> = {
  common: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
}

/** CIELAB under D65. */
function lab(rgb: Rgb): Rgb {
  const [r, g, b] = rgb.map((value) => Math.min(1, Math.max(0, value)))
  const f = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : (24389 / 27) * (t / 116) + 16 / 116)
  const x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047)
  const y = f(0.2126729 * r + 0.7151522 * g + 0.072175 * b)
  const z = f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883)
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}

function difference(a: string, b: string, vision: readonly [Rgb, Rgb, Rgb]): number {
  const see = (colour: string) =>
    lab(
      vision.map((row) =>
        row.reduce((sum, weight, i) => sum + weight * linear(colour)[i], 0),
      ) as unknown as Rgb,
    )
  const [p, q] = [see(a), see(b)]
  return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2])
}

describe('palette', () => {
  const colours = [...new Set(Object.values(KIND_COLOURS))].filter((colour) => colour !== 'currentColor')

  it('marks have a contrast of 3 on both backgrounds, text in boxes 4.5', () => {
    for (const colour of colours) {
      assert.ok(contrast(colour, SCHEMES.light.background) >= 3, colour)
      assert.ok(contrast(colour, SCHEMES.dark.background) >= 3, colour)
    }
    for (const colour of Object.values(EXIT_COLOURS)) assert.ok(contrast(colour, '#ffffff') >= 4.5, colour)
    for (const { text, muted, background } of Object.values(SCHEMES)) {
      assert.ok(contrast(text, background) >= 7)
      assert.ok(contrast(muted, background) >= 4.5)
    }
  })

  for (const [name, vision] of Object.entries(VISION)) {
    it(`shallow, deep and lossless differ with ${name} vision`, () => {
      const { shallow, deep } = EXIT_COLOURS
      assert.ok(difference(shallow, deep, vision) > 40)
      // Points of different shapes, each with its name; 2.3 is just noticeable.
      assert.ok(difference(shallow, KIND_COLOURS.lossless, vision) > 12)
      assert.ok(difference(deep, KIND_COLOURS.lossless, vision) > 12)
    })
  }
})
