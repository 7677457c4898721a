// The check of a proposed threshold against the observed labels: whatever a model of the confidences says, tokens above
// the threshold must have agreed often enough. The released estimator has no such check and trusts its mixture.

/** What the label check answers. */
export interface LabelCheck {
  /** In [from, 1]. */
  readonly threshold: number
  /** Points of evidence above the threshold; 0 at threshold 1. */
  readonly evidenceCount: number
  /** Their share that agreed; null without points. */
  readonly agreement: number | null
}

/**
 * The smallest threshold >= `from` at which at least `minAgreement` of the evidence with confidence > threshold agrees,
 * counted over at least `minEvidence` points (1 or more); 1 where there is none. It is `from` or a confidence of the
 * evidence, since only there the set of points above changes.
 * @param confidences in [0, 1], not clamped: the decoder compares the raw ones
 * @param agree 0 or 1 for each
 */
export function raiseToAgreement(
  confidences: Float64Array,
  agree: Uint8Array,
  options: { readonly from: number; readonly minAgreement: number; readonly minEvidence: number },
): LabelCheck {
  const { from, minAgreement, minEvidence } = options
  // Two native sorts and a merge: a sort of indices with a comparator is ten times slower.
  const agreeing = confidences.filter((c, i) => c > from && agree[i] === 1).sort()
  const disagreeing = confidences.filter((c, i) => c > from && agree[i] === 0).sort()
  let threshold = from
  let i = 0
  let j = 0
  for (;;) {
    const numAgree = agreeing.length - i
    const evidenceCount = numAgree + disagreeing.length - j
    if (evidenceCount < minEvidence) return { threshold: 1, evidenceCount: 0, agreement: null }
    const agreement = numAgree / evidenceCount
    if (agreement >= minAgreement) return { threshold, evidenceCount, agreement }
    threshold = Math.min(agreeing[i] ?? 1, disagreeing[j] ?? 1)
    while (i < agreeing.length && agreeing[i] <= threshold) i++
    while (j < disagreeing.length && disagreeing[j] <= threshold) j++
  }
}
