// Known ways to get early-exit decoding wrong, each made by replacing a method or a policy for the duration of a check.
// The laws must notice them: mutants.slow.test.ts.
import * as tf from '@tensorflow/tfjs'
import type { DecoderEngine, DecoderSession } from '../../src/decoding/index.js'
import { RowState } from '../../src/decoding/state.js'
import { CrossMemory } from '../../src/engines/tfjs/crossMemory.js'
import { PositionBias } from '../../src/engines/tfjs/positionBias.js'
import { SegmentCache } from '../../src/engines/tfjs/segmentCache.js'
import { createTfjsEngine } from '../../src/engines/tfjs/engine.js'
import { realPolicies } from './lawSubject.js'
import type { Policies, Subject } from './lawSubject.js'

/** One mistake. */
export interface Mutant {
  readonly name: string
  /** Numbers of the laws that fail under it, as far as they were found to. */
  readonly laws: readonly number[]
  /** Makes the mistake; returns what undoes it, and what to check instead of the real thing. */
  readonly make: () => { readonly undo: () => void; readonly subject?: Partial<Subject> }
}

/** Replaces a method of a class; `change` is given the original, bound to the object. */
function patch<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  change: (original: T[K] extends (...args: infer A) => infer R ? (...args: A) => R : never, self: T) => T[K],
): { undo: () => void } {
  const original = prototype[name] as (...args: unknown[]) => unknown
  prototype[name] = function (this: T, ...args: unknown[]) {
    const changed = change(original.bind(this) as never, this) as (...args: unknown[]) => unknown
    return changed(...args)
  } as T[K]
  return {
    undo: () => {
      prototype[name] = original as T[K]
    },
  }
}

const withPolicies = (policies: Partial<Policies>) => ({
  undo: () => undefined,
  subject: { policies: { ...realPolicies, ...policies } },
})

/** The tfjs engine with its sessions wrapped. */
const withSessions = (wrap: (session: DecoderSession) => Partial<DecoderSession>) => ({
  undo: () => undefined,
  subject: {
    makeEngine: (model: Parameters<typeof createTfjsEngine>[0]): DecoderEngine => {
      const engine = createTfjsEngine(model)
      return {
        info: engine.info,
        dispose: () => engine.dispose(),
        encode: async (sources, options) => {
          const encoded = await engine.encode(sources, options)
          return {
            numRows: encoded.numRows,
            dispose: () => encoded.dispose(),
            open: (options) => {
              const session = encoded.open(options)
              return {
                push: (row, token) => session.push(row, token),
                run: (run) => session.run(run),
                truncate: (row, length) => session.truncate(row, length),
                reorder: (rows, from) => session.reorder(rows, from),
                dispose: () => session.dispose(),
                ...wrap(session),
              }
            },
          }
        },
      }
    },
  },
})

export const mutants: readonly Mutant[] = [
  {
    name: 'the threshold is not looked at: free leaves at confidence 0.5',
    laws: [1, 7],
    make: () =>
      withPolicies({
        free: (threshold) => ({
          ...realPolicies.free(threshold),
          leaves: ({ confidence }) => confidence > 0.5,
        }),
      }),
  },
  {
    name: 'a flush answers with the choice of its first position',
    laws: [2, 3, 7],
    make: () =>
      withSessions((session) => ({
        run: async (run) => (await session.run(run)).map((choices) => choices.map(() => choices[0])),
      })),
  },
  {
    name: 'causal mask skipped within a pass',
    laws: [2, 3, 7],
    make: () =>
      patch(
        PositionBias.prototype,
        'slice',
        (slice) => (start, length) =>
          tf.tidy(() => {
            const bias = slice(start, length)
            return tf.mul(bias, tf.cast(tf.greater(bias, -1e8), 'float32'))
          }),
      ),
  },
  {
    name: 'wrong position bias: every query one position too late',
    laws: [2, 3, 4, 7],
    make: () =>
      patch(
        PositionBias.prototype,
        'slice',
        (slice) => (start, length) =>
          tf.tidy(() => {
            const [, numHeads] = [1, slice(start, length).shape[1]]
            return tf.slice(slice(start + 1, length), [0, 0, 0, 0], [1, numHeads, length, start + length])
          }),
      ),
  },
  {
    name: 'truncation off by one: a position too many stays',
    laws: [2, 3],
    make: () =>
      patch(SegmentCache.prototype, 'truncate', (truncate) => (row, length) => truncate(row, length + 1)),
  },
  {
    name: 'truncation off by one: a position too many goes',
    laws: [2, 3],
    make: () =>
      patch(SegmentCache.prototype, 'truncate', (truncate) => (row, length) => truncate(row, length - 1)),
  },
  {
    name: 'truncation of what waits, not of what was computed',
    laws: [2, 3],
    make: () =>
      patch(SegmentCache.prototype, 'truncate', (truncate, self) => (row, length) => {
        if (length >= self.length(row)) truncate(row, length)
      }),
  },
  {
    name: 'no truncation after a difference',
    laws: [2, 3],
    make: () => withSessions(() => ({ truncate: () => undefined })),
  },
  {
    name: 'stale cross keys: those of the first source stay',
    laws: [3, 5],
    make: () => {
      let first: CrossMemory | undefined
      const fits = (self: CrossMemory) =>
        first !== undefined &&
        !first.source.states.isDisposed &&
        first.source.states.shape.join() === self.source.states.shape.join()
      return patch(CrossMemory.prototype, 'at', (at, self) => (layer) => {
        if (!fits(self)) first = self
        return first === self ? at(layer) : first!.at(layer)
      })
    },
  },
  {
    name: 'a lost pending position: the oldest of a flush leaves no keys and values',
    laws: [3],
    make: () =>
      patch(SegmentCache.prototype, 'advance', (advance, self) => (rows, present) => {
        const [start, numWaiting] = [self.length(rows[0]), self.numWaiting(rows[0])]
        if (numWaiting === 1) return advance(rows, present)
        const cut = (x: tf.Tensor4D) =>
          tf.tidy(() => {
            const [before, , after] = tf.split(x, [start, 1, numWaiting - 1], 2)
            return tf.concat([before, after], 2) as tf.Tensor4D
          })
        const lost = present.map(cut)
        tf.dispose([...present])
        advance(rows, lost)
        for (const row of rows) {
          const cached = self['rows'][row]
          self['rows'][row] = { ...cached, length: cached.length - 1 }
        }
      }),
  },
  {
    name: 'a pending position is copied, not computed: the flush sees the newest state only',
    laws: [2, 3, 7],
    make: () =>
      patch(SegmentCache.prototype, 'input', (input) => (rows) => {
        const parts = input(rows)
        const last = parts.at(-1)!
        const newest = { states: last.states, start: last.start + last.count - 1, count: 1 }
        return parts.flatMap(({ count }) => Array.from({ length: count }, () => newest))
      }),
  },
  {
    name: 'lossless lets differences stand',
    laws: [2],
    make: () =>
      withPolicies({
        lossless: (threshold) => ({
          ...realPolicies.lossless(threshold),
          verify: { needs: [], token: (draft) => draft.token },
        }),
      }),
  },
  {
    name: 'lossless does not flush before it ends',
    laws: [2],
    make: () => withPolicies({ lossless: (threshold) => realPolicies.free(threshold) }),
  },
  {
    name: 'static exits one layer late',
    laws: [4],
    make: () => {
      const policy = realPolicies.staticExit()
      return withPolicies({
        staticExit: () => ({
          ...policy,
          exits: (info) =>
            [info.shallowLayers + 1, info.decoderLayers + 1].filter((n) => n <= info.decoderLayers),
        }),
      })
    },
  },
  {
    name: 'rows share a threshold',
    laws: [5],
    make: () =>
      patch(RowState.prototype, 'begin', (begin, self) => () => {
        if (self.index > 0) Object.assign(self, { settings: { ...self.settings, threshold: 0.3 } })
        return begin()
      }),
  },
  {
    name: 'rows of a flush answer in the wrong order',
    laws: [5],
    make: () =>
      withSessions((session) => ({
        run: async (run) => {
          const choices = await session.run(run)
          const isSameLength = choices.every((list) => list.length === choices[0].length)
          return isSameLength ? choices.toReversed() : choices
        },
      })),
  },
  {
    name: 'evidence of a position that was alone in its flush is dropped',
    laws: [7],
    make: () =>
      patch(RowState.prototype, 'settle', (settle, self) => (deep) => {
        const evidence = self.observed.length
        const result = settle(deep)
        if (deep.length === 1) (self.observed as unknown[]).length = evidence
        return result
      }),
  },
  {
    name: 'evidence compares the deep choice with itself',
    laws: [7],
    make: () =>
      patch(RowState.prototype, 'settle', (settle, self) => (deep) => {
        const start = self.observed.length
        const result = settle(deep)
        for (const point of self.observed.slice(start)) Object.assign(point, { agree: true })
        return result
      }),
  },
  {
    name: 'a stack holds one position more than maxPending',
    laws: [7],
    make: () => {
      const descriptor = Object.getOwnPropertyDescriptor(RowState.prototype, 'numPending')!
      Object.defineProperty(RowState.prototype, 'numPending', {
        configurable: true,
        get(this: RowState) {
          return descriptor.get!.call(this) - 1
        },
      })
      return { undo: () => Object.defineProperty(RowState.prototype, 'numPending', descriptor) }
    },
  },
  {
    name: 'rollback looks at no bound: every difference is undone',
    laws: [9],
    make: () => withPolicies({ rollback: (threshold) => realPolicies.lossless(threshold) }),
  },
  {
    name: 'rollback undoes nothing',
    laws: [9],
    make: () => withPolicies({ rollback: (threshold) => realPolicies.rollback(threshold, Infinity) }),
  },
  {
    name: 'rollback asks the shallow exit how surprised it is',
    laws: [9],
    make: () =>
      withPolicies({
        rollback: (threshold, bound) => ({
          ...realPolicies.rollback(threshold),
          verify: {
            needs: [],
            token: ({ token, choice }, deep, selector) =>
              -Math.log(choice.top1!) > bound! ? selector.choose(deep) : token,
          },
        }),
      }),
  },
  {
    name: 'rollback compares probability, not cross-entropy, with the bound',
    laws: [9],
    make: () =>
      withPolicies({ rollback: (threshold, bound) => realPolicies.rollback(threshold, Math.exp(-bound!)) }),
  },
  {
    name: 'rollback puts the next best in the place of what it undoes',
    laws: [9],
    make: () =>
      withPolicies({
        rollback: (threshold, bound) => {
          const policy = realPolicies.rollback(threshold, bound)
          return {
            ...policy,
            verify: {
              needs: ['logits'],
              token: (draft, deep, selector) => {
                const token = policy.verify!.token(draft, deep, selector)
                if (token === draft.token) return token
                const ranked = [...deep.logits!.keys()].sort((a, b) => deep.logits![b] - deep.logits![a])
                return ranked[1]
              },
            },
          }
        },
      }),
  },
  {
    name: 'beams go on in their own row, whoever they come from',
    laws: [8],
    make: () => withSessions(() => ({ reorder: () => undefined })),
  },
  {
    name: 'rows are reordered one after the other, not at once',
    laws: [8],
    make: () =>
      withSessions((session) => ({
        reorder: (rows, from) => rows.forEach((row, i) => session.reorder([row], [from[i]])),
      })),
  },
  {
    name: 'a row that goes on from another forgets its newest position',
    laws: [8],
    make: () =>
      patch(SegmentCache.prototype, 'reorder', (reorder, self) => (rows, from) => {
        reorder(rows, from)
        for (const [i, row] of rows.entries()) {
          if (from[i] !== row) self.truncate(row, self.length(row) - 1)
        }
      }),
  },
  {
    name: "rows of a pass read each other's keys and values",
    laws: [5],
    make: () => patch(SegmentCache.prototype, 'past', (past) => (rows) => past(rows.toReversed())),
  },
  {
    name: 'a row that parts from others takes what the first of them has computed',
    laws: [5],
    make: () =>
      patch(SegmentCache.prototype, 'advance', (advance, self) => (rows, present) => {
        advance(rows, present)
        for (const row of rows) self['rows'][row] = { ...self['rows'][row], index: 0 }
      }),
  },
  {
    name: 'the padding of sources is not masked',
    laws: [3, 4],
    make: () => {
      const descriptor = Object.getOwnPropertyDescriptor(CrossMemory.prototype, 'bias')!
      Object.defineProperty(CrossMemory.prototype, 'bias', { configurable: true, get: () => undefined })
      return { undo: () => Object.defineProperty(CrossMemory.prototype, 'bias', descriptor) }
    },
  },
  {
    name: 'a disposed session keeps what waits',
    laws: [6],
    make: () =>
      patch(SegmentCache.prototype, 'dispose', (dispose, self) => () => {
        if (self['rows'].every(({ waiting }) => waiting.length === 0)) dispose()
      }),
  },
  {
    name: 'cross keys are never freed',
    laws: [6],
    make: () => patch(CrossMemory.prototype, 'dispose', () => () => undefined),
  },
  {
    name: 'a session is not disposed of',
    laws: [6],
    make: () => withSessions(() => ({ dispose: () => undefined })),
  },
]
