// Checking of configurations: what each kind of mistake is answered with, and how help text is made of the same schema.
import assert from 'node:assert/strict'
import { z } from 'zod'
import { expectationOf, jsonSchemaOf, nodeAt, parseConfig, placeholderOf } from '../../src/config/index.js'
import { ShallowDeepError } from '../../src/errors.js'

const schema = z
  .strictObject({
    file: z.string().meta({ placeholder: 'file' }),
    layers: z.number().int().positive().default(2),
    rate: z.number().min(0).lt(1).default(0.1),
    scale: z.number().positive().default(1),
    mode: z.enum(['fast', 'exact']).default('fast'),
    threshold: z.union([z.number().min(0).max(1), z.enum(['adaptive'])]).default(0.9),
    maxPending: z.number().int().nonnegative().nullable().default(null),
    weights: z.tuple([z.number(), z.number()]).optional(),
    isOn: z.boolean().default(false),
    nested: z.strictObject({ list: z.array(z.number().int().nonnegative()) }).optional(),
  })
  .refine(({ layers }) => layers !== 7, { path: ['layers'], message: 'must not be 7' })

function problemOf(value: unknown, source: string | ((key: string) => string) = 'x.yaml'): ShallowDeepError {
  try {
    parseConfig(schema, value, source)
  } catch (error) {
    assert(error instanceof ShallowDeepError)
    return error
  }
  throw new assert.AssertionError({ message: 'it was accepted' })
}

describe('checking a configuration', () => {
  const cases: readonly [string, Record<string, unknown>, string][] = [
    ['a missing key', { file: undefined }, 'file: missing; expected a file'],
    ['a fraction for a count', { layers: 1.5 }, 'layers: expected a whole number from 1 up, got 1.5'],
    ['a value at an open end', { rate: 1 }, 'rate: expected a number from 0 to below 1, got 1'],
    ['NaN', { scale: NaN }, 'scale: expected a number above 0, got NaN'],
    ['a word that is no choice', { mode: 'slow' }, 'mode: expected fast or exact, got "slow"'],
    ['a union', { threshold: 1.5 }, 'threshold: expected a number from 0 to 1 or adaptive, got 1.5'],
    [
      'null or a number',
      { maxPending: 'x' },
      'maxPending: expected a whole number from 0 up or null, got "x"',
    ],
    ['a pair that is none', { weights: [1] }, 'weights: expected a list of a number and a number, got [1]'],
    ['text for a switch', { isOn: 'yes' }, 'isOn: expected true or false, got "yes"'],
    [
      'a value deep inside',
      { nested: { list: [1, -1] } },
      'nested.list.1: expected a whole number from 0 up, got -1',
    ],
    ['a refinement', { layers: 7 }, 'layers: must not be 7'],
    ['a misspelt key', { maxPendng: 1 }, 'unknown key maxPendng; did you mean maxPending?'],
    ['an unknown key that resembles none', { qqqqqqqq: 1 }, 'unknown key qqqqqqqq'],
  ]
  for (const [name, value, text] of cases) {
    it(`says what was expected and what came: ${name}`, () => {
      assert.equal(problemOf({ file: 'a', ...value }).message, `x.yaml: ${text}`)
    })
  }

  it('reports all problems at once', () => {
    const error = problemOf({ file: 'a', layers: 0, mode: 1, moed: 1 })
    assert.equal(error.code, 'config.invalid-value')
    assert.equal((error.details.problems as unknown[]).length, 3)
  })

  it('has a code of its own for unknown keys alone', () => {
    assert.equal(problemOf({ file: 'a', moed: 1 }).code, 'config.unknown-key')
  })

  it('names the place of a key in place of the key where the caller knows it, and writes null as none', () => {
    const error = problemOf({ file: 'a', maxPending: 'x' }, (key) => `--${key}`)
    assert.equal(error.message, '--maxPending: expected a whole number from 0 up or none, got "x"')
  })

  it('cuts long values', () => {
    assert(problemOf({ file: 'a', mode: 'x'.repeat(1000) }).message.length < 150)
  })
})

describe('help text from a schema', () => {
  const root = jsonSchemaOf(schema)
  const placeholders = {
    file: 'file',
    layers: 'n',
    rate: 'x',
    mode: 'fast|exact',
    threshold: '0..1|adaptive',
    maxPending: 'n|none',
    weights: 'x,x',
    isOn: '',
  }
  for (const [key, expected] of Object.entries(placeholders)) {
    it(`shows ${key} as <${expected}>`, () => {
      assert.equal(placeholderOf(nodeAt(root, [key])!), expected)
    })
  }

  it('has words for every key of the schema', () => {
    for (const node of Object.values(root.properties!)) assert.notEqual(expectationOf(node), '')
  })
})
