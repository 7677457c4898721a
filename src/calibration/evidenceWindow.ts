// The newest evidence, up to a fixed number of points, in a ring; and its compact form in JSON (base64 of little-endian
// floats, single precision where that loses nothing, and of a bit a label).
import { z } from 'zod'
import { ShallowDeepError } from '../errors.js'
import type { Evidence } from './calibrator.js'

/** A window in JSON, oldest point first. */
export interface EncodedWindow {
  /** Points held. */
  readonly count: number
  /** How a confidence is stored. */
  readonly encoding: 'float32' | 'float64'
  /** Base64 of `count` little-endian floats. */
  readonly confidences: string
  /** Base64 of `count` bits, the lowest of a byte first; 1 = agree. */
  readonly agree: string
}

/** Schema of {@link EncodedWindow}. */
export const encodedWindowSchema: z.ZodType<EncodedWindow> = z.strictObject({
  count: z.number().int().nonnegative(),
  encoding: z.enum(['float32', 'float64']),
  confidences: z.base64(),
  agree: z.base64(),
})

/** Holds the last `capacity` points of evidence. */
export class EvidenceWindow {
  readonly capacity: number
  private readonly confidence: Float64Array
  private readonly agree: Uint8Array
  private next = 0
  private held = 0
  private agreed = 0

  constructor(capacity: number) {
    this.capacity = capacity
    this.confidence = new Float64Array(capacity)
    this.agree = new Uint8Array(capacity)
  }

  /** Points held, at most `capacity`. */
  get count(): number {
    return this.held
  }

  /** Points held that agree. */
  get numAgree(): number {
    return this.agreed
  }

  /** Appends evidence that has been checked; the oldest points make room. */
  push(evidence: readonly Evidence[]): void {
    for (const { confidence, agree } of evidence) {
      if (this.held === this.capacity) this.agreed -= this.agree[this.next]
      else this.held++
      this.confidence[this.next] = confidence
      this.agree[this.next] = agree ? 1 : 0
      this.agreed += this.agree[this.next]
      this.next = (this.next + 1) % this.capacity
    }
  }

  /** Copies, oldest first: sums over them come out the same before saving and after restoring. */
  snapshot(): { readonly confidences: Float64Array; readonly agree: Uint8Array } {
    const start = this.held === this.capacity ? this.next : 0
    const confidences = new Float64Array(this.held)
    const agree = new Uint8Array(this.held)
    for (let i = 0; i < this.held; i++) {
      const at = (start + i) % this.capacity
      confidences[i] = this.confidence[at]
      agree[i] = this.agree[at]
    }
    return { confidences, agree }
  }

  /** The compact form. */
  toJSON(): EncodedWindow {
    const { confidences, agree } = this.snapshot()
    const isSingle = confidences.every((c) => Math.fround(c) === c)
    const width = isSingle ? 4 : 8
    const floats = new DataView(new ArrayBuffer(confidences.length * width))
    const bits = new Uint8Array(Math.ceil(agree.length / 8))
    for (let i = 0; i < confidences.length; i++) {
      if (isSingle) floats.setFloat32(i * width, confidences[i], true)
      else floats.setFloat64(i * width, confidences[i], true)
      bits[i >> 3] |= agree[i] << (i & 7)
    }
    return {
      count: confidences.length,
      encoding: isSingle ? 'float32' : 'float64',
      confidences: toBase64(new Uint8Array(floats.buffer)),
      agree: toBase64(bits),
    }
  }

  /**
   * A window of that capacity with the saved points. Throws `calibration.damaged-window` when lengths don't fit each
   * other or the capacity, or a confidence is outside [0, 1].
   */
  static fromJSON(json: EncodedWindow, capacity: number): EvidenceWindow {
    const width = json.encoding === 'float32' ? 4 : 8
    const bytes = fromBase64(json.confidences)
    const bits = fromBase64(json.agree)
    const { count } = json
    if (count > capacity) throw damaged(`it holds ${count} points, windowSize allows ${capacity}`)
    if (bytes.length !== count * width || bits.length !== Math.ceil(count / 8)) {
      const expected = `${count * width} and ${Math.ceil(count / 8)}`
      throw damaged(
        `expected ${expected} bytes for ${count} points, found ${bytes.length} and ${bits.length}`,
      )
    }
    const floats = new DataView(bytes.buffer)
    const evidence = Array.from({ length: count }, (_, i) => ({
      confidence: width === 4 ? floats.getFloat32(i * width, true) : floats.getFloat64(i * width, true),
      agree: ((bits[i >> 3] >> (i & 7)) & 1) === 1,
    }))
    const bad = evidence.findIndex(({ confidence }) => !(confidence >= 0 && confidence <= 1))
    if (bad >= 0)
      throw damaged(`point ${bad + 1} has confidence ${evidence[bad].confidence}, expected [0, 1]`)
    const window = new EvidenceWindow(capacity)
    window.push(evidence)
    return window
  }
}

function damaged(what: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'calibration.damaged-window',
    message: `saved evidence window: ${what}`,
    hint: 'calibrate again',
  })
}

/** Base64 with what both browsers and Node have. */
function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
}
