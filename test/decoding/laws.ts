// The laws of decoding as checks of one random case each, over any engine maker, so that the fast tests, the slow ones
// and the mutants run the same code. Each throws an AssertionError where its law is broken.
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { Calibrator, Evidence } from '../../src/calibration/index.js'
import { beams, decode, decodeOne } from '../../src/decoding/index.js'
import type { DecoderEngine, RowResult } from '../../src/decoding/index.js'
import { buildModel } from '../../src/model/index.js'
import { Random } from '../../src/random.js'
import { law6 } from './lawOfMemory.js'
import {
  assertClose,
  assertCloseOrExcused,
  EXCUSED_GAP,
  gapOf,
  optionsOf,
  predictLogits,
  realPolicies,
  withEngine,
} from './lawSubject.js'
import type { Law, Policies } from './lawSubject.js'
import { weightsOf } from './randomCases.js'
import type { LawCase } from './randomCases.js'
import { createReferenceEngine } from './referenceEngine.js'
import { ReferenceModel, softmax } from './referenceModel.js'

/** Law 1: with threshold 1, free emits what full emits, step for step. */
export const law1: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { policies } = subject
    const [source] = drawn.sources
    const expected = await decodeOne(engine, source, optionsOf(drawn, policies.full()))
    const actual = await decodeOne(engine, source, optionsOf(drawn, policies.free(1)))
    for (const key of ['tokens', 'exits', 'exitLayers', 'flushes', 'finishReason', 'steps'] as const) {
      assert.deepEqual(actual[key], expected[key], key)
    }
    assert.deepEqual([actual.pendingAtEnd, actual.forced], [0, []])
    tally.checked++
  })

/** Law 2: lossless emits what full emits, at any threshold and any maxPending. */
export const law2: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { policies } = subject
    const [source] = drawn.sources
    const expected = await decodeOne(engine, source, optionsOf(drawn, policies.full()))
    const committed: number[] = []
    let actual: RowResult | undefined
    const policy = policies.lossless(drawn.thresholds[0])
    for await (const event of decode(engine, [source], optionsOf(drawn, policy))) {
      if (event.type === 'commit') {
        assert.equal(event.position, committed.length, 'commits follow one another')
        committed.push(...event.tokens)
      }
      if (event.type === 'end') actual = event.result
    }
    tally.checked++
    assert.deepEqual(committed, actual!.tokens, 'what was committed is the output')
    const differsAt = expected.tokens.findIndex((token, i) => token !== actual!.tokens[i])
    if (differsAt >= 0 && (await isTie(engine, source, expected.tokens.slice(0, differsAt)))) {
      tally.excused++
      return
    }
    assert.deepEqual(actual!.tokens, expected.tokens)
    assert.equal(actual!.finishReason, expected.finishReason)
    assert.equal(actual!.pendingAtEnd, 0)
  })

/** Whether the deep exit's two best logits after these tokens are too close to call. */
async function isTie(
  engine: DecoderEngine,
  source: readonly number[],
  tokens: readonly number[],
): Promise<boolean> {
  const { decoderStartId, decoderLayers } = engine.info
  const encoded = await engine.encode([source])
  const session = encoded.open({ exits: [decoderLayers] })
  for (const token of [decoderStartId, ...tokens]) session.push(0, token)
  const [choices] = await session.run({ segment: 0, rows: [0], exit: ['logits'] })
  session.dispose()
  encoded.dispose()
  return gapOf(choices.at(-1)!.logits!) < EXCUSED_GAP
}

/** Law 3: after any flushes and truncations, deep logits equal those of one uncached pass over the same tokens. */
export const law3: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { config, sources, seed } = drawn
    const [source] = sources
    const random = new Random(seed)
    const model = buildModel(config, weightsOf(drawn))
    const judge = new ReferenceModel(config, weightsOf(drawn))
    const judged = judge.encode(source)
    // Another source of the same length first, so that anything kept too long would fit.
    const other = await engine.encode([source.map((token) => 3 + ((token + 5) % (config.vocabSize - 3)))])
    const encoded = await engine.encode([source])
    const session = encoded.open({ exits: [config.shallowLayers, config.decoderLayers] })
    const before = other.open({ exits: [config.shallowLayers, config.decoderLayers] })
    try {
      before.push(0, config.decoderStartId)
      for (const segment of [0, 1]) await before.run({ segment, rows: [0] })
      let tokens: number[] = []
      let numDeep = 0
      for (let turn = 0; turn < 4; turn++) {
        const numNew = 1 + random.integer(4)
        for (let i = 0; i < numNew; i++) {
          const token = tokens.length === 0 ? config.decoderStartId : random.integer(config.vocabSize)
          tokens.push(token)
          session.push(0, token)
          await session.run({ segment: 0, rows: [0] })
        }
        const [choices] = await session.run({ segment: 1, rows: [0], exit: ['logits'] })
        assert.equal(choices.length, tokens.length - numDeep, 'every pending position is flushed')
        const [, expected] = predictLogits(model.layersModel, source, tokens)
        for (const [i, { logits }] of choices.entries()) {
          const position = numDeep + i
          const exact = () => judge.logits(judged, tokens.slice(0, position + 1), config.decoderLayers)
          const what = `deep logits of position ${position}`
          tally.checked++
          if (assertCloseOrExcused(logits!, expected[position], what, exact)) tally.excused++
        }
        const numKept = 1 + random.integer(tokens.length)
        if (random.uniform() < 0.6) {
          session.truncate(0, numKept)
          tokens = tokens.slice(0, numKept)
        }
        numDeep = tokens.length
      }
    } finally {
      session.dispose()
      before.dispose()
      encoded.dispose()
      other.dispose()
      model.dispose()
    }
  })

/** Law 4: static at layer S emits the arg-max of the uncached LayersModel's shallow logits, step by step. */
export const law4: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { config } = drawn
    const [source] = drawn.sources
    const model = buildModel(config, weightsOf(drawn))
    try {
      const { tokens, exitLayers } = await decodeOne(
        engine,
        source,
        optionsOf(drawn, subject.policies.staticExit()),
      )
      assert.deepEqual(
        exitLayers,
        tokens.map(() => config.shallowLayers),
      )
      const [shallow] = predictLogits(model.layersModel, source, [
        config.decoderStartId,
        ...tokens.slice(0, -1),
      ])
      for (const [i, token] of tokens.entries()) {
        tally.checked++
        const best = shallow[i].indexOf(Math.max(...shallow[i]))
        if (token !== best && gapOf(shallow[i]) < EXCUSED_GAP) tally.excused++
        else assert.equal(token, best, `token ${i}`)
      }
      const hasEnded = tokens.at(-1) === config.eosId || tokens.length === drawn.maxNewTokens
      assert.ok(hasEnded && !tokens.slice(0, -1).includes(config.eosId), 'it ends where it should')
    } finally {
      model.dispose()
    }
  })

/** Law 5: a row of a batch goes as it goes alone, under every policy; evidence is applied in row order at the end. */
export const law5: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { sources } = drawn
    const { policies } = subject
    const thresholds = drawn.thresholds.slice(0, sources.length)
    const thresholded = [policies.free, policies.rollback, policies.lossless]
    for (const make of [policies.full, policies.staticExit, ...thresholded]) {
      const together: RowResult[] = []
      const isThresholded = (thresholded as unknown[]).includes(make)
      const policy = (threshold: number) =>
        isThresholded ? (make as Policies['free'])(threshold) : (make as Policies['full'])()
      const batch = policy(0.5)
      for await (const event of decode(engine, sources, { ...optionsOf(drawn, batch), thresholds })) {
        if (event.type === 'end') together[event.row] = event.result
      }
      assert.equal(together.length, sources.length)
      for (const [row, source] of sources.entries()) {
        const alone = policy(thresholds[row])
        const expected = await decodeOne(engine, source, optionsOf(drawn, alone))
        tally.checked++
        const isNear = expected.confidences.some(
          (c) => c !== null && Math.abs(c - thresholds[row]) < EXCUSED_GAP,
        )
        if (!isDeepStrictEqual(stepsOf(together[row]), stepsOf(expected))) {
          if (isNear || (await hasTie(drawn, expected, row))) tally.excused++
          else assert.deepEqual(stepsOf(together[row]), stepsOf(expected), `${alone.name}, row ${row}`)
          continue
        }
        // Backends may sum a product of several rows in another order.
        assertClose(numbersOf(together[row]), numbersOf(expected), `${alone.name}, row ${row}: confidences`)
      }
    }
    const recorder = new Recorder(0.5)
    const rows: RowResult[] = []
    for await (const event of decode(engine, sources, optionsOf(drawn, policies.free(recorder)))) {
      if (event.type === 'end') rows[event.row] = event.result
    }
    assert.deepEqual(
      recorder.observed,
      rows.map(({ evidence }) => evidence),
      'evidence comes row by row',
    )
    assert.ok(
      rows.every(({ threshold, pendingAtEnd }) => threshold === 0.5 && pendingAtEnd === 0),
      'the threshold of the start holds to the end, and an adaptive calibrator misses no position',
    )
  })

/** Everything of a row but its confidences. */
function stepsOf({ confidences, evidence, ...rest }: RowResult) {
  return {
    ...rest,
    isSeen: confidences.map((confidence) => confidence !== null),
    evidence: evidence.map(({ confidence: _, ...position }) => position),
  }
}

/** The confidences of a row, those of its evidence too. */
function numbersOf({ confidences, evidence }: RowResult): number[] {
  const seen = confidences.filter((confidence) => confidence !== null)
  return [...seen, ...evidence.map(({ confidence }) => confidence)]
}

/** An adaptive calibrator that writes down what it is given, and whose threshold then moves. */
class Recorder implements Calibrator {
  readonly name = 'recorder'
  readonly isAdaptive = true
  readonly observed: (readonly Evidence[])[] = []

  constructor(private readonly start: number) {}

  get threshold(): number {
    return this.observed.length === 0 ? this.start : 0
  }

  get diagnostics(): never {
    throw new Error('not asked for while decoding')
  }

  wantsEvidence(): boolean {
    return true
  }

  observe(evidence: readonly Evidence[]): void {
    this.observed.push([...evidence])
  }

  toJSON(): never {
    throw new Error('not asked for while decoding')
  }
}

/**
 * Beyond the six: free goes step for step as over the plain engine, evidence and all; every flushed position gives one
 * piece of evidence, and no stack is larger than allowed.
 */
export const lawOfReference: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { config, thresholds, maxPending } = drawn
    const [source] = drawn.sources
    const reference = createReferenceEngine(new ReferenceModel(config, weightsOf(drawn)))
    const options = { ...optionsOf(drawn, subject.policies.free(thresholds[0])), flushAtEnd: true }
    const actual = await decodeOne(engine, source, options)
    const expected = await decodeOne(reference, source, {
      ...optionsOf(drawn, realPolicies.free(thresholds[0])),
      flushAtEnd: true,
    })
    const { evidence: none, ...unobserved } = await decodeOne(engine, source, {
      ...options,
      flushAtEnd: false,
      evidence: false,
    })
    const flushed = actual.flushes.reduce((sum, size) => sum + size, 0)
    tally.checked++
    assert.deepEqual(none, [], 'no evidence where none is gathered')
    assert.deepEqual(
      [unobserved.tokens, unobserved.exits, unobserved.confidences],
      [actual.tokens, actual.exits, actual.confidences],
      'a flush that looks at its newest position alone chooses the same',
    )
    assert.equal(
      unobserved.flushes.reduce((sum, size) => sum + size, unobserved.pendingAtEnd),
      flushed,
      'and flushes the same',
    )
    const isBounded = (size: number) => maxPending === null || size <= maxPending + 1
    assert.ok(actual.flushes.every(isBounded), 'no stack is larger than maxPending')
    assert.equal(actual.evidence.length, flushed, 'every flushed position gives one piece of evidence')
    const near = expected.confidences.some((c) => Math.abs(c! - thresholds[0]) < 1e-5)
    if (near || (await hasTie(drawn, expected))) {
      tally.excused++
      return
    }
    const { confidences, evidence, ...rest } = actual
    const { confidences: expectedConfidences, evidence: _, ...expectedRest } = expected
    assert.deepEqual(rest, expectedRest)
    assertClose(confidences as number[], expectedConfidences as number[], 'confidences')
    // The evidence is compared with the model itself, as both engines have the loop that gathers it in common.
    const model = new ReferenceModel(config, weightsOf(drawn))
    const encoded = model.encode(source)
    for (const { position, confidence, agree } of evidence) {
      const prefix = [config.decoderStartId, ...actual.tokens.slice(0, position)]
      const [shallow, deep] = [config.shallowLayers, config.decoderLayers].map((layer) =>
        model.logits(encoded, prefix, layer),
      )
      const [top1, top2] = softmax(shallow).sort((a, b) => b - a)
      assertClose([confidence], [top1 - top2], `confidence of the evidence at ${position}`)
      const best = (logits: Float64Array) => logits.indexOf(Math.max(...logits))
      assert.equal(agree, best(shallow) === best(deep), `agreement at ${position}`)
    }
  })

/** Beyond the six: beams over full and static find what they find over the plain engine, which has no caches to move. */
export const lawOfBeams: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { config, sources, seed } = drawn
    const reference = createReferenceEngine(new ReferenceModel(config, weightsOf(drawn)))
    const { full, staticExit } = subject.policies
    const selection = beams({
      beams: 2 + (seed % 3),
      lengthPenalty: (seed % 5) / 2,
      earlyStopping: seed % 2 > 0,
    })
    for (const policy of [full(), staticExit()]) {
      const options = { ...optionsOf(drawn, policy), selection }
      const actual = (await decodeOne(engine, sources[0], options)).hypotheses!
      const expected = (await decodeOne(reference, sources[0], options)).hypotheses!
      tally.checked++
      const [ours, theirs] = [actual, expected].map((list) => list.map(({ score }) => score))
      assertClose(ours, theirs, 'scores')
      const tokensOf = (list: typeof actual) => list.map(({ tokens }) => tokens.join())
      // Two hypotheses of one score may stand either way round, or one of them may be missing.
      const isTied = theirs.some((score, i) =>
        theirs.some((other, j) => i !== j && Math.abs(score - other) < 1e-5),
      )
      if (isTied && tokensOf(actual).join() !== tokensOf(expected).join()) tally.excused++
      else assert.deepEqual(tokensOf(actual), tokensOf(expected), policy.name)
    }
  })

/** The bounds that rollback is tried with: from those that let only the deep exit's best tokens stand to those that let all. */
const BOUNDS = [0, 0.3, 0.69, 1, 1.5, 2.5, 4, Infinity]

/**
 * Beyond the six: rollback undoes a pending token exactly where its cross-entropy under the deep exit is above the bound
 * and another token is better; below ln 2 that makes it full, without a bound free.
 */
export const lawOfRollback: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { config, thresholds, seed } = drawn
    const [source] = drawn.sources
    const { policies } = subject
    const bound = BOUNDS[seed % BOUNDS.length]
    const model = new ReferenceModel(config, weightsOf(drawn))
    const encoded = model.encode(source)
    /** The deep exit's best token after these, and how much another one surprises it. */
    const deepAfter = (tokens: readonly number[]) => {
      const logits = model.logits(encoded, [config.decoderStartId, ...tokens], config.decoderLayers)
      const probabilities = softmax(logits)
      return {
        best: logits.indexOf(Math.max(...logits)),
        isTie: gapOf(logits) < EXCUSED_GAP,
        surprise: (token: number) => -Math.log(probabilities[token]),
      }
    }
    const tokens: number[] = []
    let result: RowResult | undefined
    const policy = policies.rollback(thresholds[0], bound)
    for await (const event of decode(engine, [source], optionsOf(drawn, policy))) {
      if (event.type === 'token') {
        const { position, token, retracted } = event
        if (retracted > 0) {
          const undone = tokens[position]
          tokens.length = position
          const { best, isTie, surprise } = deepAfter(tokens)
          assert.ok(surprise(undone) > bound - 1e-4, `undone at ${surprise(undone)}, bound ${bound}`)
          if (!isTie) assert.deepEqual([token, undone === best], [best, false])
          tally.checked++
        }
        assert.equal(position, tokens.length)
        tokens.push(token)
      }
      if (event.type === 'end') result = event.result
    }
    assert.deepEqual([result!.tokens, result!.pendingAtEnd], [tokens, 0])
    for (const [i, token] of tokens.entries()) {
      const { best, surprise } = deepAfter(tokens.slice(0, i))
      const stands = token === best || (result!.exits[i] === 'shallow' && surprise(token) <= bound + 1e-4)
      if (stands) tally.checked++
      else if (deepAfter(tokens.slice(0, i)).isTie) tally.excused++
      else assert.fail(`token ${i} stands at ${surprise(token)}, bound ${bound}`)
    }
    const other =
      bound < Math.LN2 ? policies.full() : bound === Infinity ? policies.free(thresholds[0]) : undefined
    if (!other) return
    const expected = (await decodeOne(engine, source, optionsOf(drawn, other))).tokens
    const differsAt = expected.findIndex((token, i) => token !== tokens[i])
    if (differsAt >= 0 && deepAfter(expected.slice(0, differsAt)).isTie) tally.excused++
    else assert.deepEqual(tokens, expected, other.name)
  })

/** Whether any exit was too close to call along the way of the output of a source. */
async function hasTie(drawn: LawCase, { tokens }: RowResult, index = 0): Promise<boolean> {
  const { config } = drawn
  const model = new ReferenceModel(config, weightsOf(drawn))
  const source = model.encode(drawn.sources[index])
  return tokens.some((_, i) => {
    const prefix = [config.decoderStartId, ...tokens.slice(0, i)]
    return [config.shallowLayers, config.decoderLayers].some(
      (layer) => gapOf(model.logits(source, prefix, layer)) < EXCUSED_GAP,
    )
  })
}

/** All laws by name, with the number of rows that their cases have. */
export const laws: Readonly<Record<string, { readonly law: Law; readonly rows: readonly [number, number] }>> =
  {
    'law 1: free with threshold 1 emits what full emits, step for step': { law: law1, rows: [1, 1] },
    'law 2: lossless emits what full emits': { law: law2, rows: [1, 1] },
    'law 3: deep logits after flushes and truncations equal one uncached pass': { law: law3, rows: [1, 1] },
    "law 4: static emits the arg-max of the LayersModel's shallow logits": { law: law4, rows: [1, 1] },
    'law 5: a row of a batch goes as it goes alone': { law: law5, rows: [2, 5] },
    'law 6: nothing leaks when finished, left, thrown or aborted': { law: law6, rows: [1, 2] },
    'law 7: free goes as over the plain engine, evidence and all': { law: lawOfReference, rows: [1, 1] },
    'law 8: beams find what they find over the plain engine': { law: lawOfBeams, rows: [1, 1] },
    'law 9: rollback undoes what surprises the deep exit more than its bound': {
      law: lawOfRollback,
      rows: [1, 1],
    },
  }
