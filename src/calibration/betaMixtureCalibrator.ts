// The calibrator around the Beta mixture: what it does before there is enough evidence and where no mixture can be
// fitted, and the check of its threshold against the labels. Each branch has a code, listed here:
//   calibration.no-evidence, .too-little-evidence   initialThreshold, unchecked
//   .everything-agrees, .nothing-agrees             low end of the range; 1 (never exit)
//   .zero-variance, .component-without-mass         no mixture: low end of the range, the labels alone decide
//   .never-confident, .fitted                       posterior below zeta at the range's high end: 1; the mixture's t
// Every threshold below 1 in the last six then passes the labels: .labels-kept, .labels-raised, .labels-refused.
import { z } from 'zod'
import type { BetaMixtureOptions, BetaMixtureOptionsInput } from '../config/index.js'
import { betaMixtureOptionsSchema, parseConfig } from '../config/index.js'
import type { BetaMixture } from './betaMixture.js'
import { findThreshold, fitMixture, mixtureLogLikelihood, prepareEvidence } from './betaMixture.js'
import type {
  Calibrator,
  CalibratorDiagnostics,
  CalibratorJSON,
  Evidence,
  LabelCheckDiagnostics,
} from './calibrator.js'
import { agreementOf, calibratorDiagnosticsSchema, checkEvidence } from './calibrator.js'
import type { EncodedWindow } from './evidenceWindow.js'
import { encodedWindowSchema, EvidenceWindow } from './evidenceWindow.js'
import { raiseToAgreement } from './labelCheck.js'

/** A branch's answer before the labels are checked. */
interface Proposal {
  readonly code: string
  readonly message: string
  readonly threshold: number
  readonly mixture?: BetaMixture
  readonly logLikelihood?: number
}

/** Saved state of the calibrator `beta-mixture`. */
interface BetaMixtureJSON extends CalibratorJSON {
  readonly name: 'beta-mixture'
  readonly options: BetaMixtureOptions
  readonly window: EncodedWindow
  readonly numSequences: number
  readonly diagnostics: CalibratorDiagnostics
}

const savedSchema: z.ZodType<BetaMixtureJSON> = z.strictObject({
  version: z.literal(1),
  name: z.literal('beta-mixture'),
  options: betaMixtureOptionsSchema,
  window: encodedWindowSchema,
  numSequences: z.number().int().nonnegative().default(0),
  diagnostics: calibratorDiagnosticsSchema,
})

/**
 * The adaptive threshold estimator of FREE, with its known failures mended: see the list of branches above.
 * Throws `config.*` for bad options.
 */
export function betaMixture(
  options: BetaMixtureOptionsInput = {},
  source = 'calibrator beta-mixture',
): Calibrator {
  const complete = parseConfig(betaMixtureOptionsSchema, options, source)
  return new BetaMixtureCalibrator(complete, new EvidenceWindow(complete.windowSize), 0)
}

/**
 * A `beta-mixture` from its saved state. Threshold and diagnostics are the saved ones until new evidence comes.
 * Throws `config.*` for a bad form, `calibration.damaged-window` for a bad window.
 */
export function restoreBetaMixture(json: unknown, source: string): Calibrator {
  const { options, window, numSequences, diagnostics } = parseConfig(savedSchema, json, source)
  const restored = EvidenceWindow.fromJSON(window, options.windowSize)
  return new BetaMixtureCalibrator(options, restored, numSequences, diagnostics)
}

class BetaMixtureCalibrator implements Calibrator {
  readonly name = 'beta-mixture'
  readonly isAdaptive = true

  constructor(
    private readonly options: BetaMixtureOptions,
    private readonly window: EvidenceWindow,
    /** Finished sequences, observed or not. */
    private numSequences: number,
    /** Undefined while the evidence is newer than the fit: the next reader refits. */
    private current?: CalibratorDiagnostics,
  ) {}

  get threshold(): number {
    return this.diagnostics.threshold
  }

  get diagnostics(): CalibratorDiagnostics {
    this.current ??= decide(this.window, this.options)
    return this.current
  }

  wantsEvidence(index: number): boolean {
    const { plentifulEvidence, observeEvery } = this.options
    return this.window.count < plentifulEvidence || (this.numSequences + index) % observeEvery === 0
  }

  observe(evidence: readonly Evidence[]): void {
    checkEvidence(evidence)
    this.numSequences++
    if (evidence.length === 0) return
    this.window.push(evidence)
    this.current = undefined
  }

  toJSON(): BetaMixtureJSON {
    return {
      version: 1,
      name: this.name,
      options: this.options,
      window: this.window.toJSON(),
      numSequences: this.numSequences,
      diagnostics: this.diagnostics,
    }
  }
}

/** The threshold for a window and its reason: a pure function of the evidence in order, and the options. */
function decide(window: EvidenceWindow, options: BetaMixtureOptions): CalibratorDiagnostics {
  const { count, numAgree } = window
  const { confidences, agree } = window.snapshot()
  const proposal =
    proposeWithoutMixture(count, numAgree, options) ?? proposeByMixture(confidences, agree, options)
  // Below minEvidence the labels can't speak, and never exiting can't be wrong.
  const isChecked = count >= options.minEvidence && proposal.threshold < 1
  const check = isChecked
    ? raiseToAgreement(confidences, agree, { from: proposal.threshold, ...options })
    : null
  const threshold = check?.threshold ?? proposal.threshold
  const labelCheck: LabelCheckDiagnostics | null = check && {
    code:
      check.evidenceCount === 0
        ? 'calibration.labels-refused'
        : threshold > proposal.threshold
          ? 'calibration.labels-raised'
          : 'calibration.labels-kept',
    evidenceCount: check.evidenceCount,
    agreement: check.agreement,
  }
  return {
    code: proposal.code,
    message: proposal.message + (labelCheck ? `; ${describeLabelCheck(labelCheck, threshold, options)}` : ''),
    evidenceCount: count,
    agreement: agreementOf(numAgree, count),
    threshold,
    proposedThreshold: proposal.threshold,
    labelCheck,
    mixture: proposal.mixture ?? null,
    logLikelihood: proposal.logLikelihood ?? null,
  }
}

function proposeWithoutMixture(
  count: number,
  numAgree: number,
  options: BetaMixtureOptions,
): Proposal | undefined {
  const { minEvidence, initialThreshold, low } = options
  if (count === 0) {
    return {
      code: 'calibration.no-evidence',
      message: `no evidence yet: initial threshold ${initialThreshold}`,
      threshold: initialThreshold,
    }
  }
  if (count < minEvidence) {
    return {
      code: 'calibration.too-little-evidence',
      message: `${count} of the ${minEvidence} points needed: initial threshold ${initialThreshold}`,
      threshold: initialThreshold,
    }
  }
  if (numAgree === count) {
    return {
      code: 'calibration.everything-agrees',
      message: `all ${count} points agree: low end of the range, ${low}`,
      threshold: low,
    }
  }
  if (numAgree === 0) {
    return {
      code: 'calibration.nothing-agrees',
      message: `none of ${count} points agrees: no shallow exit`,
      threshold: 1,
    }
  }
  return undefined
}

/** For at least one point of each label. */
function proposeByMixture(
  confidences: Float64Array,
  agree: Uint8Array,
  options: BetaMixtureOptions,
): Proposal {
  const { zeta, low, high } = options
  const evidence = prepareEvidence(confidences, agree)
  const { mixture, failure } = fitMixture(evidence, options)
  if (!mixture) {
    const isFlat = failure === 'zero-variance'
    const reason = isFlat ? 'the confidences of a component do not vary' : 'a component has no mass'
    return {
      code: isFlat ? 'calibration.zero-variance' : 'calibration.component-without-mass',
      message: `no mixture of ${confidences.length} points, ${reason}: low end of the range, ${low}, if the labels allow it`,
      threshold: low,
    }
  }
  const logLikelihood = mixtureLogLikelihood(mixture, evidence)
  const found = findThreshold(mixture, options)
  if (found === null) {
    return {
      code: 'calibration.never-confident',
      message: `the posterior of agreement is below ${zeta} at confidence ${high}: no shallow exit`,
      threshold: 1,
      mixture,
      logLikelihood,
    }
  }
  return {
    code: 'calibration.fitted',
    message: `mixture of ${confidences.length} points: posterior of agreement at least ${zeta} from ${show(found)} to ${high}`,
    threshold: found,
    mixture,
    logLikelihood,
  }
}

function describeLabelCheck(
  check: LabelCheckDiagnostics,
  threshold: number,
  options: BetaMixtureOptions,
): string {
  const { minAgreement, minEvidence } = options
  if (check.code === 'calibration.labels-refused') {
    return `labels: no threshold below 1 has ${minEvidence} points above it with agreement ${minAgreement}: no shallow exit`
  }
  const seen = `${check.evidenceCount} points above agree at ${show(check.agreement ?? 0)}`
  return check.code === 'calibration.labels-kept'
    ? `labels: ${seen}`
    : `labels: raised to ${show(threshold)}, where ${seen}`
}

function show(value: number): string {
  return String(Number(value.toFixed(4)))
}
