// Area under the quality/latency curve: one number for a policy over all its thresholds.
import type { EvaluationResult } from './results.js'

interface Point {
  /** Share of full's ms per token, and of full's quality. */
  readonly latency: number
  readonly quality: number
}

/**
 * For each policy of the rows (`adaptive` apart from the fixed thresholds of `free`): the mean, over latency budgets from
 * 0 to that of `full`, of the best quality (as a share of full's) that one of its rows reaches within the budget; 0 where
 * none does. A step function, because thresholds between the measured ones were not measured. In [0, 1] as long as no row
 * is better than `full`, which itself reaches 0: it needs the whole budget. `rows[0]` is `full`.
 */
export function areaUnderCurves(rows: readonly EvaluationResult[]): Record<string, number> {
  const [full] = rows
  const scoreOf = (row: EvaluationResult) => Object.values(row.quality)[0].score
  const points = new Map<string, Point[]>()
  for (const row of rows) {
    const name = row.threshold === 'adaptive' ? 'adaptive' : row.policy
    const point = {
      latency: row.latency.msPerTokenMean / full.latency.msPerTokenMean,
      quality: scoreOf(full) === 0 ? 0 : scoreOf(row) / scoreOf(full),
    }
    points.set(name, [...(points.get(name) ?? []), point])
  }
  return Object.fromEntries([...points].map(([name, list]) => [name, areaUnder(list)]))
}

function areaUnder(points: readonly Point[]): number {
  let [area, best, reached] = [0, 0, 1]
  const sorted = points.filter(({ latency }) => latency < 1).sort((a, b) => a.latency - b.latency)
  for (const [i, { latency, quality }] of sorted.entries()) {
    best = Math.max(best, quality)
    reached = sorted[i + 1]?.latency ?? 1
    area += best * (reached - latency)
  }
  return area
}
