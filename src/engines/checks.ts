// What every engine checks in the same words: sources, weights, and use after disposal.
import type { HostWeights, ModelConfig } from '../config/index.js'
import { weightSpecs } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'

/** Throws `engine.empty-source` and `engine.token-out-of-range` for sources that cannot be encoded. */
export function checkSources(sources: readonly ArrayLike<number>[], vocabSize: number): void {
  for (const [row, source] of sources.entries()) checkSource(source, row, vocabSize)
}

function checkSource(source: ArrayLike<number>, row: number, vocabSize: number): void {
  if (source.length === 0) {
    throw new ShallowDeepError({
      code: 'engine.empty-source',
      message: `source ${row + 1}: expected at least one token (the end of sequence), got none`,
      details: { row },
    })
  }
  for (let i = 0; i < source.length; i++) {
    const token = source[i]
    if (Number.isInteger(token) && token >= 0 && token < vocabSize) continue
    throw new ShallowDeepError({
      code: 'engine.token-out-of-range',
      message: `source ${row + 1}, token ${i + 1}: expected an id from 0 to ${vocabSize - 1}, got ${token}`,
      hint: 'tokenizer and model do not belong together',
      details: { row, index: i, token, vocabSize },
    })
  }
}

/** Throws `engine.missing-weight` and `engine.wrong-shape` where weights are not those of `config`. */
export function checkWeights(config: ModelConfig, weights: HostWeights): void {
  for (const { name, shape } of weightSpecs(config)) {
    const weight = weights.get(name)
    if (!weight) {
      throw new ShallowDeepError({
        code: 'engine.missing-weight',
        message: `the weights have no ${name}, which this configuration needs`,
        hint: 'configuration and weights belong to different models',
        details: { name },
      })
    }
    if (weight.shape.join() !== shape.join()) {
      throw new ShallowDeepError({
        code: 'engine.wrong-shape',
        message: `${name}: expected shape [${shape}], got [${weight.shape}]`,
        hint: 'configuration and weights belong to different models',
        details: { name, expected: shape, actual: weight.shape },
      })
    }
  }
}

/** The error of an engine or a session that is used after its disposal. */
export function disposedError(what: 'engine' | 'session'): ShallowDeepError {
  return new ShallowDeepError({
    code: 'engine.disposed',
    message: `the ${what} was disposed, and cannot be used any more`,
    hint: what === 'engine' ? 'create a new one' : 'open a new one',
  })
}

/** The error of an exit whose logits hold NaN. */
export function notANumberError(): ShallowDeepError {
  return new ShallowDeepError({
    code: 'engine.not-a-number',
    message: 'the logits of an exit are not numbers (NaN)',
    hint: 'the weights are broken, or the model overflows float32: check the checkpoint, or train again',
    kind: 'failure',
  })
}

/** The error of an exit that is asked for `agreement` where the model has no confidence head. */
export function noConfidenceHeadError(): ShallowDeepError {
  return new ShallowDeepError({
    code: 'engine.no-confidence-head',
    message: 'exit feature agreement: expected a model with a confidence head, this one has none',
    hint: 'ask only where info.hasConfidenceHead says so',
  })
}
