// What a plot of a calibration needs: counts of confidences by label, and the fitted densities on a grid. Numbers only,
// so that a report draws them from JSON without the mixture's arithmetic.
import type { BetaMixture, PerComponent } from './betaMixture.js'
import { CLAMP } from './betaMixture.js'
import type { Evidence } from './calibrator.js'
import { betaPdf } from './special.js'

/** Counts in bins of equal width over [0, 1]; bin i is [i / n, (i + 1) / n), the last one with 1. */
export interface ConfidenceHistogram {
  /** Points a bin whose exits agree. */
  readonly agree: readonly number[]
  /** Points a bin whose exits disagree; as many bins. */
  readonly disagree: readonly number[]
}

/**
 * Densities of the two components, each with integral 1. Times its weight times the number of points over the number of
 * bins, a density is on the scale of the histogram.
 */
export interface DensityCurves {
  /** Grid in (0, 1). */
  readonly confidence: readonly number[]
  readonly agree: readonly number[]
  readonly disagree: readonly number[]
  /** Weights of the components, [disagree, agree]. */
  readonly weight: PerComponent
}

/** Bins by default. */
export const HISTOGRAM_BINS = 50

/** Points of the density grid. */
const GRID_POINTS = 201

/** Counts checked evidence by confidence and label. */
export function confidenceHistogram(
  evidence: readonly Evidence[],
  numBins = HISTOGRAM_BINS,
): ConfidenceHistogram {
  const histogram = {
    agree: new Array<number>(numBins).fill(0),
    disagree: new Array<number>(numBins).fill(0),
  }
  for (const { confidence, agree } of evidence) {
    const bin = Math.min(numBins - 1, Math.floor(confidence * numBins))
    histogram[agree ? 'agree' : 'disagree'][bin]++
  }
  return histogram
}

/** The densities of a mixture on an even grid, whose ends are clamped as the fit clamps confidences (poles at 0 and 1). */
export function densityCurves(mixture: BetaMixture): DensityCurves {
  const confidence = Array.from({ length: GRID_POINTS }, (_, i) =>
    Math.min(1 - CLAMP, Math.max(CLAMP, i / (GRID_POINTS - 1))),
  )
  const curve = (k: 0 | 1) => confidence.map((c) => betaPdf(c, mixture.alpha[k], mixture.beta[k]))
  return { confidence, agree: curve(1), disagree: curve(0), weight: mixture.weight }
}
