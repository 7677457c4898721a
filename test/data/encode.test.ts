// Encoding: the end token, truncation that keeps it and is counted, prefixes, several references.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { encodeExamples, encodeText, type Example } from '../../src/data/index.js'
import type { Tokenizer } from '../../src/tokenizer/index.js'

const EOS = 1

/** One token a character; adds `</s>` itself unless told otherwise. */
function characters(addsEos = true): Tokenizer {
  return {
    vocabSize: 0x110003,
    padId: 0,
    eosId: EOS,
    unkId: 2,
    encode: (text) => [
      ...Array.from(text, (character) => character.codePointAt(0)! + 3),
      ...(addsEos ? [EOS] : []),
    ],
    decode: (tokens) =>
      tokens
        .filter((id) => id > 2)
        .map((id) => String.fromCodePoint(id - 3))
        .join(''),
    endsInByte: () => false,
    idToPiece: (id) => String.fromCodePoint(id - 3),
    toJSON: () => null,
  }
}

const LENGTHS = { maxSourceLength: 100, maxTargetLength: 100 }

describe('encoding', () => {
  const tokenizer = characters()
  const textOf = (ids: Int32Array) => tokenizer.decode([...ids])

  it('a text ends with one </s>, whether the tokenizer adds it or not', () => {
    for (const encoder of [tokenizer, characters(false)]) {
      assert.deepEqual([...encodeText(encoder, 'ab', 9).ids], [100, 101, EOS])
      assert.deepEqual([...encodeText(encoder, '', 9).ids], [EOS])
    }
  })

  it('at any length: a prefix of the text, then </s>; cut only where it does not fit', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 12 }),
        fc.integer({ min: 1, max: 15 }),
        fc.boolean(),
        (text, max, addsEos) => {
          const { ids, isTruncated } = encodeText(characters(addsEos), text, max)
          const whole = [...Array.from(text, (character) => character.codePointAt(0)! + 3), EOS]
          assert.equal(isTruncated, whole.length > max)
          assert.deepEqual([...ids], isTruncated ? [...whole.slice(0, max - 1), EOS] : whole)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('truncated sources and targets are counted apart; the prefix counts as source', async () => {
    const examples: Example[] = [
      { source: 'abcd', targets: ['x'] },
      { source: 'abcde', targets: ['xyz'] },
      { source: 'a', targets: ['xyz!'] },
      { source: 'abcdefgh', targets: ['xyz!!'] },
    ]
    const encoded = await encodeExamples(examples, {
      tokenizer,
      prefix: '> ',
      maxSourceLength: 7,
      maxTargetLength: 4,
    })
    assert.deepEqual([encoded.truncatedSources, encoded.truncatedTargets], [2, 2])
    assert.deepEqual(
      encoded.examples.map(({ source, target }) => [textOf(source), textOf(target)]),
      [
        ['> abcd', 'x'],
        ['> abcd', 'xyz'],
        ['> a', 'xyz'],
        ['> abcd', 'xyz'],
      ],
    )
    for (const { source, target } of encoded.examples)
      assert.deepEqual([source.at(-1), target.at(-1)], [EOS, EOS])
  })

  it('trains on the first reference, or on each', async () => {
    const examples: Example[] = [
      { source: 'a', targets: ['x', 'y'] },
      { source: 'b', targets: ['z'] },
    ]
    const first = await encodeExamples(examples, { tokenizer, ...LENGTHS })
    assert.deepEqual(
      first.examples.map(({ target }) => textOf(target)),
      ['x', 'z'],
    )
    const each = await encodeExamples(examples, { tokenizer, ...LENGTHS, references: 'each' })
    assert.deepEqual(
      each.examples.map(({ source, target }) => textOf(source) + textOf(target)),
      ['ax', 'ay', 'bz'],
    )
  })

  it('takes a stream as well as an array', async () => {
    async function* stream() {
      await Promise.resolve()
      yield { source: 'a', targets: ['x'] }
    }
    const { examples } = await encodeExamples(stream(), { tokenizer, ...LENGTHS })
    assert.deepEqual(examples, [{ source: Int32Array.of(100, EOS), target: Int32Array.of(123, EOS) }])
  })

  it('an example without a target is an error, and so is a length that holds no </s>', async () => {
    await assert.rejects(encodeExamples([{ source: 'a', targets: [] }], { tokenizer, ...LENGTHS }), {
      code: 'data.no-target',
    })
    for (const bad of [{ maxSourceLength: 0 }, { maxTargetLength: -1 }, { maxTargetLength: 2.5 }]) {
      await assert.rejects(encodeExamples([], { tokenizer, ...LENGTHS, ...bad }), { code: 'data.bad-length' })
    }
    assert.throws(() => encodeText(tokenizer, 'a', 0), { code: 'data.bad-length' })
  })
})
