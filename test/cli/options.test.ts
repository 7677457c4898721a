// Flags from schemas, and who wins: defaults, stored settings, the configuration file, flags. Also colours and Ctrl-C.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { Command } from 'commander'
import { z } from 'zod'
import { listenForInterrupts } from '../../src/cli/interrupt.js'
import { addFlags, convertText, flagOf, readFlags, resolveOptions } from '../../src/cli/options.js'
import { hasColour } from '../../src/cli/output.js'
import { quote } from '../../src/cli/shell.js'
import { jsonSchemaOf } from '../../src/config/index.js'
import type { ConfigFile } from '../../src/config/index.node.js'

const schema = z.strictObject({
  dFf: z.number().int().positive().default(64),
  maxPending: z.number().int().nonnegative().nullable().default(null),
  threshold: z.union([z.number().min(0).max(1), z.enum(['adaptive'])]).default(0.9),
  weights: z.tuple([z.number(), z.number()]).optional(),
  list: z.array(z.number()).optional(),
  names: z.array(z.string()).optional(),
  text: z.string().optional(),
  isTied: z.boolean().default(true),
  isOn: z.boolean().default(false),
  isEither: z.boolean().optional(),
})

const file = (path: string, values: Record<string, unknown>): ConfigFile => ({
  path,
  values,
  lineOf: (key) => Object.keys(values).indexOf(key) + 1 || undefined,
})

function parseFlags(words: readonly string[]): Map<string, unknown> {
  const command = new Command().exitOverride()
  addFlags(command, schema, {})
  command.parse(words, { from: 'user' })
  return readFlags(command, schema)
}

describe('flags', () => {
  const flags: readonly [string, string][] = [
    ['dFf', '--d-ff'],
    ['maxPending', '--max-pending'],
    ['json', '--json'],
  ]
  for (const [key, flag] of flags) it(`writes ${key} as ${flag}`, () => assert.equal(flagOf(key), flag))

  const readings: readonly [string, readonly string[], Record<string, unknown>][] = [
    ['numbers', ['--d-ff', '8'], { dFf: 8 }],
    ['numbers with exponents', ['--threshold', '2e-1'], { threshold: 0.2 }],
    ['words of a union', ['--threshold', 'adaptive'], { threshold: 'adaptive' }],
    ['none as null', ['--max-pending', 'none'], { maxPending: null }],
    ['none as text where nothing may be null', ['--text', 'none'], { text: 'none' }],
    ['digits as text where text is asked for', ['--text', '12'], { text: '12' }],
    ['pairs', ['--weights', '1, 0.5'], { weights: [1, 0.5] }],
    ['lists', ['--list', '1,2,3', '--names', 'a,b'], { list: [1, 2, 3], names: ['a', 'b'] }],
    [
      'switches',
      ['--is-on', '--no-is-tied', '--no-is-either'],
      { isOn: true, isTied: false, isEither: false },
    ],
    ['switches that are on already', ['--is-tied', '--is-either'], { isTied: true, isEither: true }],
    ['the last of two', ['--d-ff', '8', '--d-ff', '16'], { dFf: 16 }],
    ['nothing', [], {}],
  ]
  for (const [name, words, expected] of readings) {
    it(`reads ${name}`, () => assert.deepEqual(Object.fromEntries(parseFlags(words)), expected))
  }

  it('leaves text that is no number as it is, for the check to name it', () => {
    const node = jsonSchemaOf(schema).properties!.dFf
    for (const text of ['', 'x', '0x10', 'Infinity', 'NaN', '1_000', '1 2'])
      assert.equal(convertText(text, node), text)
  })
})

describe('options', () => {
  it('come from defaults, then stored settings, then the file, then flags', () => {
    const { options, common } = resolveOptions(schema, {
      files: [
        file('stored', { dFf: 1, threshold: 0.1, isOn: true }),
        file('a.yaml', { dFf: 2, threshold: 0.2, quiet: true }),
      ],
      flags: new Map<string, unknown>([
        ['dFf', 3],
        ['json', true],
      ]),
    })
    assert.deepEqual(options, { dFf: 3, maxPending: null, threshold: 0.2, isTied: true, isOn: true })
    assert.deepEqual(common, { json: true, quiet: true, verbose: false })
  })

  it('understand none in a file where null is meant', () => {
    const { options } = resolveOptions(schema, {
      files: [file('a.yaml', { maxPending: 'none' })],
      flags: new Map(),
    })
    assert.equal(options.maxPending, null)
  })

  it('name the place of each problem: a flag, or a line of a file', () => {
    const files = [file('a.yaml', { dFf: 0, thresold: 1, threshold: 2 })]
    assert.throws(() => resolveOptions(schema, { files, flags: new Map([['threshold', 3]]) }), {
      code: 'config.invalid-value',
      message:
        'a.yaml, line 1: dFf: expected a whole number from 1 up, got 0; ' +
        '--threshold: expected a number from 0 to 1 or adaptive, got 3; ' +
        'a.yaml, line 2: unknown key thresold; did you mean threshold?',
    })
  })
})

describe('colours', () => {
  const terminal = { isTTY: true } as NodeJS.WriteStream
  const pipe = { isTTY: false } as NodeJS.WriteStream
  const cases: readonly [NodeJS.WriteStream, NodeJS.ProcessEnv, boolean][] = [
    [terminal, {}, true],
    [pipe, {}, false],
    [terminal, { NO_COLOR: '1' }, false],
    [terminal, { NO_COLOR: '' }, true],
    [terminal, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
    [pipe, { FORCE_COLOR: '1' }, true],
    [terminal, { FORCE_COLOR: '0' }, false],
    [terminal, { TERM: 'dumb' }, false],
  ]
  for (const [stream, env, expected] of cases) {
    it(`are ${expected ? 'on' : 'off'} for ${stream.isTTY ? 'a terminal' : 'a pipe'} and ${JSON.stringify(env)}`, () => {
      assert.equal(hasColour(stream, env), expected)
    })
  }
})

describe('Ctrl-C', () => {
  it('asks for a good end at first, and quits at the second time', () => {
    const codes: unknown[] = []
    const target = Object.assign(new EventEmitter(), { exit: (code: unknown) => codes.push(code) })
    const signal = listenForInterrupts(target as unknown as NodeJS.Process)
    assert.equal(signal.aborted, false)
    target.emit('SIGINT')
    assert.deepEqual([signal.aborted, codes], [true, []])
    target.emit('SIGTERM')
    assert.deepEqual(codes, [130])
  })
})

describe('shell words', () => {
  it('are quoted where they need it', () => {
    const words = ['runs/a-1', 'a b', "it's", '', '$HOME']
    assert.deepEqual(words.map(quote), ['runs/a-1', "'a b'", "'it'\\''s'", "''", "'$HOME'"])
  })
})
