// The parts of training against slow and plain versions of the same, on random words over few characters.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { trainBpe } from '../../src/tokenizer/bpe.js'
import { bestCounts, buildLattices, expectedCounts, forEachSubstring } from '../../src/tokenizer/lattices.js'
import { seedPieces } from '../../src/tokenizer/seedPieces.js'
import {
  MAX_PIECE_LENGTH,
  isOneKind,
  trainingWords,
  type Counted,
} from '../../src/tokenizer/vocabularyRules.js'

const word = fc
  .array(fc.constantFrom('a', 'b', 'c', '😀'), { minLength: 1, maxLength: 7 })
  .map((x) => x.join(''))
const words = fc
  .uniqueArray(fc.tuple(word, fc.integer({ min: 1, max: 5 })), {
    minLength: 1,
    maxLength: 6,
    selector: ([text]) => text,
  })
  .map((entries): Counted[] => entries)

/** Every way to write a word in pieces. */
function segmentations(text: string, pieces: readonly string[]): string[][] {
  if (text === '') return [[]]
  return pieces
    .filter((piece) => text.startsWith(piece))
    .flatMap((piece) => segmentations(text.slice(piece.length), pieces).map((rest) => [piece, ...rest]))
}

function substrings(text: string): string[] {
  const characters = [...text]
  return characters.flatMap((_, i) =>
    characters.slice(i, i + MAX_PIECE_LENGTH).map((__, j) => characters.slice(i, i + j + 1).join('')),
  )
}

describe('Unigram training', () => {
  const lattice = fc.record({
    words,
    pieces: fc.uniqueArray(
      fc.constantFrom<string[]>('a', 'b', 'c', '😀', 'ab', 'bc', 'abc', 'aa', '😀a', 'ca', 'bb'),
      {
        minLength: 1,
      },
    ),
    weights: fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 11, maxLength: 11 }),
  })

  it('expects of each piece what all segmentations, weighed by probability, hold of it', () => {
    fc.assert(
      fc.property(lattice, ({ words, pieces, weights }) => {
        const probability = Float64Array.from(pieces, (_, i) => weights[i] / 1000)
        const wanted = new Float64Array(pieces.length)
        for (const [text, count] of words) {
          const ways = segmentations(text, pieces).map((way) => way.map((piece) => pieces.indexOf(piece)))
          const shares = ways.map((way) => way.reduce((product, id) => product * probability[id], 1))
          const total = shares.reduce((sum, share) => sum + share, 0)
          ways.forEach((way, i) => way.forEach((id) => (wanted[id] += (count * shares[i]) / total)))
        }
        const ids = new Map(pieces.map((piece, id) => [piece, id]))
        const found = expectedCounts(buildLattices(words, ids), probability)
        found.forEach((value, id) => assert.ok(Math.abs(value - wanted[id]) < 1e-9 * (1 + wanted[id])))
      }),
      { numRuns: 300 },
    )
  })

  it('counts pieces in a segmentation of each word that none beats', () => {
    fc.assert(
      fc.property(lattice, ({ words, pieces, weights }) => {
        const logProbability = Float64Array.from(pieces, (_, i) => Math.log(weights[i] / 1000))
        const ids = new Map(pieces.map((piece, id) => [piece, id]))
        for (const entry of words) {
          const scores = segmentations(entry[0], pieces).map((way) =>
            way.reduce((sum, piece) => sum + logProbability[ids.get(piece)!], 0),
          )
          const used = bestCounts(buildLattices([entry], ids), logProbability)
          const score = used.reduce((sum, count, id) => sum + (count / entry[1]) * logProbability[id], 0)
          const length = used.reduce((sum, count, id) => sum + (count / entry[1]) * pieces[id].length, 0)
          assert.equal(length, scores.length === 0 ? 0 : entry[0].length)
          if (scores.length > 0) assert.ok(Math.abs(score - Math.max(...scores)) < 1e-9)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('starts from all substrings that occur more than once, by occurrences times length', () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 0, max: 40 }), (words, maxSeeds) => {
        const counts = new Map<string, number>()
        for (const [text, count] of words) {
          for (const part of substrings(text)) counts.set(part, (counts.get(part) ?? 0) + count)
        }
        const wanted = [...counts]
          .filter(([text, count]) => count >= 2 && [...text].length >= 2 && isOneKind(text))
          .map(([text, count]): Counted => [text, count * [...text].length])
        const found = seedPieces(words, maxSeeds)
        const scores = (seeds: readonly Counted[]) => seeds.map(([, score]) => score)
        assert.deepEqual(scores(found), scores(wanted.sort((a, b) => b[1] - a[1])).slice(0, maxSeeds))
        const all = new Map(wanted)
        for (const [text, score] of found) assert.equal(all.get(text), score)
        assert.equal(new Set(found.map(([text]) => text)).size, found.length)
      }),
      { numRuns: 300 },
    )
  })

  it('visits the substrings of a word whole characters at a time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 24 }), (text) => {
        const found: string[] = []
        forEachSubstring(text, (start, end) => found.push(text.slice(start, end)))
        assert.deepEqual(found, substrings(text))
      }),
    )
  })
})

describe('BPE training', () => {
  /** The same rule, counted anew before each merge. */
  function trainSlowly(
    words: readonly Counted[],
    characters: readonly string[],
    numPieces: number,
  ): [string, string][] {
    const pieces = [...characters]
    const merges: [string, string][] = []
    let split = words.map(([text, count]) => ({ parts: [...text], count }))
    while (pieces.length < numPieces) {
      const counts = new Map<string, { left: string; right: string; count: number }>()
      for (const { parts, count } of split) {
        for (let i = 0; i + 1 < parts.length; i++) {
          const [left, right] = [parts[i], parts[i + 1]]
          const merged = left + right
          if ([...merged].length > MAX_PIECE_LENGTH || !isOneKind(merged)) continue
          const entry = counts.get(`${left} ${right}`) ?? { left, right, count: 0 }
          counts.set(`${left} ${right}`, { ...entry, count: entry.count + count })
        }
      }
      const rank = (text: string) => pieces.indexOf(text)
      const [best] = [...counts.values()]
        .filter(({ count }) => count >= 2)
        .sort((a, b) => b.count - a.count || rank(a.left) - rank(b.left) || rank(a.right) - rank(b.right))
      if (!best) break
      merges.push([best.left, best.right])
      if (!pieces.includes(best.left + best.right)) pieces.push(best.left + best.right)
      split = split.map(({ parts, count }) => {
        const merged: string[] = []
        for (let i = 0; i < parts.length; i++) {
          const isPair = parts[i] === best.left && parts[i + 1] === best.right
          merged.push(isPair ? best.left + best.right : parts[i])
          if (isPair) i++
        }
        return { parts: merged, count }
      })
    }
    return merges
  }

  it('merges what counting all pairs anew before each merge would', () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 12 }), (words, numMerges) => {
        const characters = trainBpe(new Map(words), {
          numPieces: charactersOf(words),
          characterCoverage: 1,
        }).pieces
        const wanted = trainSlowly(trainingWords(new Map(words)), characters, characters.length + numMerges)
        const numPieces = new Set([...characters, ...wanted.map((pair) => pair.join(''))]).size
        const found = trainBpe(new Map(words), { numPieces, characterCoverage: 1 })
        assert.deepEqual(found.merges, wanted.slice(0, found.merges.length))
        assert.equal(found.pieces.length, numPieces)
      }),
      { numRuns: 300 },
    )
  })

  function charactersOf(words: readonly Counted[]): number {
    return new Set(words.flatMap(([text]) => [...text])).size
  }
})
