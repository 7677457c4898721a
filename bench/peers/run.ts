// The whole benchmark: prepares the peers, starts their workers, measures each setting, and ends the workers, whatever
// happens. A peer that fails is left out with its reason, and the others are measured.
import { ShallowDeepError } from '../../src/errors.js'
import { bleu } from '../../src/metrics/index.js'
import { measure, type Contestant } from './measure.js'
import { BASELINES, EXIT_POLICIES, REFERENCES, type Peer, type PreparedPeer } from './peers.js'
import type { Subject } from './subjects.js'
import { bestLines, summarise, type BestLine, type Line, type Outputs } from './summarise.js'
import { PeerWorker } from './worker.js'

/** What to run. */
export interface RunOptions {
  readonly peers: readonly Peer[]
  readonly threads: readonly number[]
  readonly batchSizes: readonly number[]
  /** Neutral: undefined, as many as the subject says. */
  readonly rounds?: number
  readonly log: (line: string) => void
  readonly signal?: AbortSignal
}

/** What was measured of a subject; plain JSON. */
export interface SubjectResult {
  readonly subject: string
  readonly lines: readonly Line[]
  readonly best: readonly BestLine[]
  /** What computed, by peer. */
  readonly versions: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** The contestant whose tokens others' are compared with; null where none took part. */
  readonly reference: string | null
  /** Why what was asked for is not there, by peer or contestant. */
  readonly leftOut: Readonly<Record<string, string>>
  /** The most processor time that the waiting workers together took, per time of a turn; null where not known. */
  readonly idleShare: number | null
}

/** An answer may take this long: loading a large model, or a batch on a busy machine. */
const TIMEOUT_MS = 180_000
const REST_MS = 300
/** A float32 peer that does the same work starts with the reference's tokens. */
const MIN_SAME_START = 4

type Failures = Map<string, string>

/** Measures a subject. Throws `signal.reason`, and what is a fault of this program. */
export async function runSubject(subject: Subject, options: RunOptions): Promise<SubjectResult> {
  const leftOut: Failures = new Map()
  const prepared = await preparePeers(subject, options, leftOut)
  const lines: Line[] = []
  const versions: Record<string, Readonly<Record<string, string>>> = {}
  const idleShares: number[] = []
  let reference: string | null = null
  for (const threads of options.threads) {
    const workers: PeerWorker[] = []
    try {
      const contestants = await startWorkers(prepared, { subject, threads, options, leftOut, workers })
      for (const { peer, loaded } of contestants) versions[peer] = loaded.versions
      const names = contestants.map(({ name }) => name)
      for (const batchSize of options.batchSizes) {
        const work = workOf(subject, batchSize, options.rounds)
        const { turns, failures } = await measure(contestants, work, {
          onTurn: (name, round) =>
            options.log(`${subject.name}, ${threads} threads, batch ${batchSize}, round ${round}: ${name}`),
          signal: options.signal,
        })
        for (const [name, { message }] of failures) leftOut.set(name, message)
        for (const { idleShare } of turns) if (idleShare !== undefined) idleShares.push(idleShare)
        const known = REFERENCES.find((name) => turns.some(({ contestant }) => contestant === name))
        reference ??= known ?? null
        const summary = summarise(names, turns, {
          threads,
          batchSize,
          baselines: BASELINES,
          reference: known,
          usedThreads: (name) => contestants.find((contestant) => contestant.name === name)!.loaded.threads,
          score: scorerOf(subject),
        })
        lines.push(...dropOtherWork(summary, options.peers, leftOut))
      }
    } finally {
      await Promise.all(workers.map((worker) => worker.close()))
    }
  }
  return {
    subject: subject.name,
    lines,
    best: bestLines(lines, BASELINES),
    versions,
    reference,
    leftOut: Object.fromEntries(leftOut),
    idleShare: idleShares.length === 0 ? null : Math.max(...idleShares),
  }
}

async function preparePeers(
  subject: Subject,
  { peers, log, signal }: RunOptions,
  leftOut: Failures,
): Promise<ReadonlyMap<Peer, PreparedPeer>> {
  const prepared = new Map<Peer, PreparedPeer>()
  for (const peer of peers) {
    signal?.throwIfAborted()
    await orLeaveOut(peer.name, leftOut, async () => {
      prepared.set(peer, await peer.prepare(subject, log))
    })
  }
  return prepared
}

async function startWorkers(
  prepared: ReadonlyMap<Peer, PreparedPeer>,
  context: {
    readonly subject: Subject
    readonly threads: number
    readonly options: RunOptions
    readonly leftOut: Failures
    /** Receives each worker as soon as it is started. */
    readonly workers: PeerWorker[]
  },
): Promise<readonly Contestant[]> {
  const { subject, threads, options, leftOut, workers } = context
  const contestants: Contestant[] = []
  for (const [{ name, hasExits }, { launch, load }] of prepared) {
    options.signal?.throwIfAborted()
    options.log(`${subject.name}, ${threads} threads: loading ${name}`)
    await orLeaveOut(name, leftOut, async () => {
      const worker = new PeerWorker({ name, ...launch }, TIMEOUT_MS)
      workers.push(worker)
      const loaded = await worker.load({ ...load, threads })
      const full = { name, peer: name, worker, loaded }
      contestants.push(full)
      if (!hasExits || !subject.texts) return
      for (const policy of EXIT_POLICIES) {
        contestants.push({ ...full, name: `${name} ${policy.name} ${policy.threshold}`, policy })
      }
    })
  }
  return contestants
}

async function orLeaveOut(name: string, leftOut: Failures, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof ShallowDeepError)) throw error
    leftOut.set(name, error.message)
  }
}

/** Batches take longer: half the rounds, and a batch in each. */
function workOf(
  subject: Subject,
  batchSize: number,
  asked: number | undefined,
): Parameters<typeof measure>[1] {
  const rounds = asked ?? subject.rounds
  const isAlone = batchSize === 1
  return {
    sources: subject.sources,
    maxNewTokens: subject.maxNewTokens,
    isFixedLength: subject.isFixedLength,
    batchSize,
    rounds: isAlone ? rounds : Math.ceil(rounds / 2),
    batchesPerTurn: isAlone ? subject.sequencesPerTurn : Math.ceil(subject.sequencesPerTurn / batchSize),
    restMs: REST_MS,
  }
}

/** BLEU of the outputs that are there, where the subject has references. */
function scorerOf({ texts }: Subject): ((outputs: Outputs) => number) | undefined {
  if (!texts) return undefined
  const { tokenizer, references } = texts
  return (outputs) =>
    bleu().score(
      [...outputs.values()].map((tokens) => tokenizer.decode(tokens)),
      [...outputs.keys()].map((source) => references[source]),
    )
}

/** Lines without those that should have begun with the reference's tokens and did not. */
function dropOtherWork(lines: readonly Line[], peers: readonly Peer[], leftOut: Failures): readonly Line[] {
  return lines.filter(({ contestant, sameStart }) => {
    const [name, policy] = contestant.split(' ')
    const isExact = peers.some((peer) => peer.name === name && peer.isFloat32) && policy !== 'free'
    if (!isExact || sameStart === null || sameStart >= MIN_SAME_START) return true
    leftOut.set(contestant, `did other work: only its first ${sameStart} tokens are the reference's`)
    return false
  })
}
