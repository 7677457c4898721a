// Seeded pseudo-random numbers, used everywhere instead of Math.random: xoshiro128** (Blackman and Vigna), seeded by
// splitmix32. The state is four 32-bit words and can be saved, so that an interrupted training goes on exactly.

export type RandomState = readonly [number, number, number, number]

/** A seeded generator. Equal seeds give equal sequences on every machine and backend. */
export class Random {
  private s0: number
  private s1: number
  private s2: number
  private s3: number

  /** @param seed an integer (its low 32 bits count), or a state taken from another generator. */
  constructor(seed: number | RandomState) {
    if (typeof seed === 'number') {
      let z = seed >>> 0
      const splitmix = () => {
        z = (z + 0x9e3779b9) >>> 0
        let t = z ^ (z >>> 16)
        t = Math.imul(t, 0x21f0aaad)
        t ^= t >>> 15
        t = Math.imul(t, 0x735a2d97)
        return (t ^ (t >>> 15)) >>> 0
      }
      this.s0 = splitmix()
      this.s1 = splitmix()
      this.s2 = splitmix()
      this.s3 = splitmix()
    } else {
      ;[this.s0, this.s1, this.s2, this.s3] = seed
    }
  }

  /** The state, to be handed to the constructor later. */
  get state(): RandomState {
    return [this.s0, this.s1, this.s2, this.s3]
  }

  /** A uniform integer in [0, 2^32). */
  uint32(): number {
    const product = Math.imul(this.s1, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const t = this.s1 << 9
    this.s2 ^= this.s0
    this.s3 ^= this.s1
    this.s1 ^= this.s2
    this.s0 ^= this.s3
    this.s2 ^= t
    this.s3 = (this.s3 << 11) | (this.s3 >>> 21)
    return result
  }

  /** A uniform number in [0, 1) with 32 random bits. */
  uniform(): number {
    return this.uint32() / 4294967296
  }

  /** A uniform integer in [0, bound). */
  integer(bound: number): number {
    return Math.floor(this.uniform() * bound)
  }

  /** A standard normal number (Box-Muller; the second of each pair is dropped so that the state stays four words). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    return radius * Math.cos(2 * Math.PI * this.uniform())
  }

  /** Shuffles in place (Fisher and Yates) and returns the same array. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1)
      const swap = items[i]
      items[i] = items[j]
      items[j] = swap
    }
    return items
  }

  /** A generator whose sequence is its own: for a second purpose under the same seed. */
  fork(purpose: number): Random {
    return new Random((this.uint32() ^ Math.imul(purpose + 1, 0x9e3779b9)) >>> 0)
  }
}
