// A progress bar of one line for a terminal, redrawn at most ten times a second and never wider than the terminal. Where
// standard error is no terminal: a plain line now and then.

/** What a bar needs of a stream. */
export interface ProgressStream {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface ProgressOptions {
  readonly stream: ProgressStream
  readonly isQuiet: boolean
  /** What is being done: `training`, `decoding`. */
  readonly label: string
  /** How much there is to do. */
  readonly total: number
  /** How much was done before this began: it does not count for the rate. Neutral: 0. */
  readonly done?: number
  /** Milliseconds from any origin. Neutral: performance.now. */
  readonly now?: () => number
}

export interface Progress {
  /** `details`: short texts such as `loss 2.31`, the most important first; those that do not fit are left out. */
  update(done: number, details?: readonly string[]): void
  /** Writes a line above the bar. */
  note(text: string): void
  /** Takes the bar away; idempotent. */
  end(): void
}

const REDRAW_MS = 100
const PLAIN_LINE_MS = 30_000

/** Starts a bar. */
export function createProgress(options: ProgressOptions): Progress {
  const { stream, isQuiet, label, total, done: before = 0, now = () => performance.now() } = options
  const isBar = stream.isTTY === true && !isQuiet
  const start = now()
  let shownAt = -Infinity
  let plainAt = start
  let line = ''

  const draw = () => stream.write(`\r\x1b[2K${line}`)
  return {
    update(done, details = []) {
      const at = now()
      const isEnd = done >= total
      const wait = isBar ? REDRAW_MS : PLAIN_LINE_MS
      if (isQuiet || (at - (isBar ? shownAt : plainAt) < wait && !(isBar && isEnd))) return
      shownAt = plainAt = at
      const left = done > before ? ((at - start) / (done - before)) * (total - done) : undefined
      const parts = { label, done, total, details, left }
      line = isBar ? barLine(parts, (stream.columns ?? 80) - 1) : plainLine(parts)
      if (isBar) draw()
      else stream.write(`${line}\n`)
    },
    note(text) {
      if (isQuiet) return
      stream.write(isBar && line !== '' ? `\r\x1b[2K${text}\n` : `${text}\n`)
      if (isBar && line !== '') draw()
    },
    end() {
      if (isBar && line !== '') stream.write('\r\x1b[2K')
      line = ''
    },
  }
}

interface LineParts {
  readonly label: string
  readonly done: number
  readonly total: number
  readonly details: readonly string[]
  /** Milliseconds left, as far as the rate so far tells. */
  readonly left: number | undefined
}

const MIN_BAR = 8
const MAX_BAR = 30

/** `training ━━━━━━───── 1,234/3,888  3m12s left  loss 2.31  12.3k tokens/s`, at most `width` columns. */
export function barLine({ label, done, total, details, left }: LineParts, width: number): string {
  const count = `${group(done)}/${group(total)}`
  let tail = [count, ...(left === undefined ? [] : [`${formatDuration(left)} left`])].join('  ')
  const head = `${label} `
  const room = () => width - head.length - tail.length - 1
  for (const detail of details) {
    if (room() - detail.length - 2 < MIN_BAR) break
    tail += `  ${detail}`
  }
  if (room() < MIN_BAR) return `${head}${tail}`.slice(0, width)
  const size = Math.min(MAX_BAR, room())
  const filled = total === 0 ? size : Math.floor((size * Math.min(done, total)) / total)
  return `${head}${'━'.repeat(filled)}${'─'.repeat(size - filled)} ${tail}`
}

function plainLine({ label, done, total, details, left }: LineParts): string {
  const time = left === undefined ? [] : [`${formatDuration(left)} left`]
  return [`${label} ${group(done)}/${group(total)}`, ...time, ...details].join('  ')
}

/** `45s`, `3m12s`, `2h05m`. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  const pad = (x: number) => String(x).padStart(2, '0')
  return minutes < 60
    ? `${minutes}m${pad(seconds % 60)}s`
    : `${Math.floor(minutes / 60)}h${pad(minutes % 60)}m`
}

/** A rate in three figures: `940`, `12.3k`. */
export function formatRate(perSecond: number): string {
  if (perSecond < 9.95) return perSecond.toFixed(1)
  if (perSecond < 9995) return group(Math.round(perSecond))
  return `${(perSecond / 1000).toFixed(1)}k`
}

function group(x: number): string {
  return x.toLocaleString('en-US')
}
