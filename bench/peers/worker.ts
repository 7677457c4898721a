// A peer's process as seen from the command: started, asked one thing at a time, and ended. Whatever goes wrong (it dies, it
// hangs, it says something else) becomes one error that names it.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { z } from 'zod'
import { tellingLine } from '../../scripts/native/processes.js'
import { ShallowDeepError } from '../../src/errors.js'
import {
  decodeReplySchema,
  failureReplySchema,
  loadReplySchema,
  type DecodeReply,
  type DecodeRequest,
  type LoadReply,
  type LoadRequest,
  type WorkerRequest,
} from './protocol.js'

/** How a worker is started. */
export interface Launch {
  /** For messages. */
  readonly name: string
  readonly program: string
  readonly words: readonly string[]
  /** On top of this process's environment. Neutral: undefined. */
  readonly env?: Readonly<Record<string, string>>
}

/** How much of what a worker writes to standard error is kept for messages. */
const KEPT_ERRORS = 8000
/** A worker that is told to end and has not ended by then is ended. */
const END_MS = 5000
const SHOWN = 60

interface Waiting {
  readonly resolve: (line: string) => void
  readonly reject: (reason: ShallowDeepError) => void
}

/** A running worker. The caller closes it. */
export class PeerWorker {
  private readonly child: ChildProcessWithoutNullStreams
  private readonly ended: Promise<void>
  private waiting: Waiting | undefined
  private failure: ShallowDeepError | undefined
  private errors = ''
  private lastId = 0

  /** @param timeoutMs how long an answer may take */
  constructor(
    private readonly launch: Launch,
    private readonly timeoutMs: number,
  ) {
    const { program, words, env } = launch
    this.child = spawn(program, words, { env: { ...process.env, ...env }, stdio: 'pipe' })
    const { stdin, stdout, stderr } = this.child
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors = (this.errors + text).slice(-KEPT_ERRORS)
    })
    // Writing to a worker that has died: its end tells of it.
    stdin.on('error', () => undefined)
    createInterface({ input: stdout }).on('line', (line) => this.receive(line))
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => {
        this.fail('peers.worker-died', `could not be started: ${error.message}`)
        resolve()
      })
      this.child.on('close', (code, signal) => {
        this.fail('peers.worker-died', `ended with ${signal ?? `code ${code}`}: ${this.lastWords()}`)
        resolve()
      })
    })
  }

  /** Process id; undefined where it could not be started. */
  get pid(): number | undefined {
    return this.child.pid
  }

  /** Loads the model. Throws as {@link decode} does. */
  load(request: Omit<LoadRequest, 'op'>): Promise<LoadReply> {
    return this.ask({ op: 'load', ...request }, loadReplySchema)
  }

  /**
   * Decodes a batch. Throws `peers.worker-failed` (the worker says that it could not), and after these it is of no more use:
   * `peers.worker-died`, `peers.timeout` and `peers.bad-reply`.
   */
  decode(request: Omit<DecodeRequest, 'op'>): Promise<DecodeReply> {
    return this.ask({ op: 'decode', ...request }, decodeReplySchema)
  }

  /** Ends the process; idempotent. */
  async close(): Promise<void> {
    this.failure ??= this.errorOf('peers.worker-died', 'was closed')
    this.child.stdin.end()
    const timer = setTimeout(() => this.child.kill('SIGKILL'), END_MS)
    await this.ended
    clearTimeout(timer)
  }

  private async ask<S extends z.ZodType<{ readonly id: number }>>(
    request: WorkerRequest,
    schema: S,
  ): Promise<z.output<S>> {
    const id = ++this.lastId
    const line = await this.exchange(JSON.stringify({ id, ...request }))
    const value = parseJson(line)
    const refused = failureReplySchema.safeParse(value)
    if (refused.success && refused.data.id === id) {
      throw this.errorOf('peers.worker-failed', `could not ${request.op}: ${refused.data.error}`)
    }
    const reply = schema.safeParse(value)
    if (reply.success && reply.data.id === id) return reply.data
    const shown = line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line
    throw this.fail('peers.bad-reply', `answered ${request.op} ${id} with what is no answer to it: ${shown}`)
  }

  private exchange(text: string): Promise<string> {
    if (this.failure) return Promise.reject(this.failure)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.fail('peers.timeout', `gave no answer within ${this.timeoutMs / 1000} s: ${this.lastWords()}`)
      }, this.timeoutMs)
      const settle = () => {
        clearTimeout(timer)
        this.waiting = undefined
      }
      this.waiting = {
        resolve: (line) => {
          settle()
          resolve(line)
        },
        reject: (reason) => {
          settle()
          reject(reason)
        },
      }
      this.child.stdin.write(`${text}\n`)
    })
  }

  private receive(line: string): void {
    if (this.waiting) this.waiting.resolve(line)
    else this.fail('peers.bad-reply', `said something unasked: ${line.slice(0, SHOWN)}`)
  }

  /** Gives the worker up; the first reason stays. */
  private fail(code: string, what: string): ShallowDeepError {
    this.failure ??= this.errorOf(code, what)
    this.child.kill('SIGKILL')
    this.waiting?.reject(this.failure)
    return this.failure
  }

  private errorOf(code: string, what: string): ShallowDeepError {
    const { name } = this.launch
    return new ShallowDeepError({
      code,
      message: `worker ${name} ${what}`,
      hint: `leave it out with --peers, or start it by hand: ${[this.launch.program, ...this.launch.words].join(' ')}`,
      details: { name, stderr: this.errors },
      kind: 'failure',
    })
  }

  private lastWords(): string {
    return tellingLine({ code: null, stdout: '', stderr: this.errors, spawnError: null })
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
