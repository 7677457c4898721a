// Places the labels of points in a chart so that they cover neither each other nor marks nor, where it can be helped,
// lines. Greedy, in the order given, over a ring of places around each point; the same answer for the same input.
import { estimateTextWidth } from '../textExtent.js'

/** A label to place, in pixels of the plot from its top left corner. */
export interface LabelRequest {
  readonly text: string
  readonly x: number
  readonly y: number
  /** May be left out where no place close by is free. */
  readonly isOptional?: boolean
}

/** A label's place: the anchor of its text, whose baseline is its middle. */
export interface PlacedLabel {
  readonly text: string
  readonly x: number
  readonly y: number
  readonly align: 'left' | 'center' | 'right'
  /** A line from its mark to its edge, where it stands too far away to be understood without; else null. */
  readonly leader: { readonly from: Point; readonly to: Point } | null
}

/** What the labels must keep clear of, in pixels of the plot. */
export interface PlotSpace {
  readonly width: number
  readonly height: number
  readonly fontSize: number
  /** Marks, each as a circle of `markRadius`. */
  readonly marks: readonly Point[]
  readonly markRadius: number
  /** Lines through these points in order. */
  readonly lines: readonly (readonly Point[])[]
}

/** A place in the plot, in pixels from its top left corner. */
export interface Point {
  readonly x: number
  readonly y: number
}

interface Box {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

// Directions in order of preference; y grows downward.
const DIRECTIONS: readonly (readonly [number, number])[] = [
  [1, 0],
  [0, -1],
  [0.75, -0.75],
  [0.75, 0.75],
  [-1, 0],
  [0, 1],
  [-0.75, -0.75],
  [-0.75, 0.75],
]
const DISTANCES = [5, 12, 20, 30, 42, 56]
/** Further away it is not plain which mark a label belongs to. */
const CLOSE_DISTANCES = DISTANCES.slice(0, 2)

/** Marks and labels may not be covered at any price, lines at a price. */
const COLLISION_COST = 1000
const LINE_COST = 3
const DISTANCE_COST = 4
const DIRECTION_COST = 0.6

/** The labels' places, without the optional ones that found none; others overlap only where the plot is full. */
export function placeLabels(requests: readonly LabelRequest[], space: PlotSpace): PlacedLabel[] {
  const marks = space.marks.map(({ x, y }) => boxAround(x, y, space.markRadius))
  const linePoints = space.lines.flatMap(samplePoints)
  const taken: Box[] = []
  const placed: PlacedLabel[] = []
  for (const request of requests) {
    let best: { label: PlacedLabel; box: Box; cost: number } | undefined
    for (const [d, distance] of (request.isOptional ? CLOSE_DISTANCES : DISTANCES).entries()) {
      for (const [k, [dx, dy]] of DIRECTIONS.entries()) {
        const candidate = candidateAt(request, space, { distance: distance + space.markRadius, dx, dy })
        if (!candidate) continue
        const { box } = candidate
        const collisions = [...marks, ...taken].filter((other) => overlaps(box, other)).length
        const crossings = linePoints.filter((point) => contains(box, point)).length
        const cost =
          collisions * COLLISION_COST + crossings * LINE_COST + d * DISTANCE_COST + k * DIRECTION_COST
        if (!best || cost < best.cost) best = { ...candidate, cost }
      }
    }
    if (!best || (request.isOptional && best.cost >= COLLISION_COST)) continue
    taken.push(best.box)
    placed.push(best.label)
  }
  return placed
}

/** The label at some distance in a direction; undefined where it would leave the plot. */
function candidateAt(
  { text, x, y }: LabelRequest,
  { width, height, fontSize, markRadius }: PlotSpace,
  { distance, dx, dy }: { readonly distance: number; readonly dx: number; readonly dy: number },
): { label: PlacedLabel; box: Box } | undefined {
  const textWidth = estimateTextWidth(text, fontSize)
  const half = fontSize * 0.65
  const anchorX = x + dx * distance
  // Above and below, the text's edge and not its middle keeps the distance.
  const anchorY = y + dy * distance + (dx === 0 ? Math.sign(dy) * (half - 5) : 0)
  const align = dx > 0 ? 'left' : dx < 0 ? 'right' : 'center'
  const left = align === 'left' ? anchorX : align === 'right' ? anchorX - textWidth : anchorX - textWidth / 2
  const box = { left: left - 2, right: left + textWidth + 2, top: anchorY - half, bottom: anchorY + half }
  if (box.left < 0 || box.right > width || box.top < 0 || box.bottom > height) return undefined
  const isFar = distance > markRadius + CLOSE_DISTANCES[CLOSE_DISTANCES.length - 1]
  const edge = { x: anchorX, y: dx === 0 ? anchorY - Math.sign(dy) * half : anchorY }
  return {
    label: { text, x: anchorX, y: anchorY, align, leader: isFar ? { from: { x, y }, to: edge } : null },
    box,
  }
}

function boxAround(x: number, y: number, radius: number): Box {
  return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius }
}

function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}

function contains(box: Box, { x, y }: Point): boolean {
  return x > box.left && x < box.right && y > box.top && y < box.bottom
}

/** Points along a line, four pixels apart. */
function samplePoints(line: readonly Point[]): Point[] {
  const points: Point[] = []
  for (let i = 1; i < line.length; i++) {
    const [a, b] = [line[i - 1], line[i]]
    const steps = Math.max(1, Math.ceil(Math.hypot(b.x - a.x, b.y - a.y) / 4))
    for (let s = 0; s <= steps; s++) {
      points.push({ x: a.x + ((b.x - a.x) * s) / steps, y: a.y + ((b.y - a.y) * s) / steps })
    }
  }
  return points
}
