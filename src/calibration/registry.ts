// Calibrators by name, as the command line and saved files know them.
import { ShallowDeepError, suggestNearest } from '../errors.js'
import { betaMixture, restoreBetaMixture } from './betaMixtureCalibrator.js'
import type { Calibrator } from './calibrator.js'
import { fixed, restoreFixed } from './fixed.js'

interface CalibratorType {
  /** A new one; the options are checked. */
  readonly create: (options: Readonly<Record<string, unknown>>, source?: string) => Calibrator
  /** One from `toJSON()`; the form is checked. */
  readonly restore: (json: unknown, source: string) => Calibrator
}

const calibratorTypes = {
  fixed: { create: fixed, restore: restoreFixed },
  'beta-mixture': { create: betaMixture, restore: restoreBetaMixture },
} as const satisfies Record<string, CalibratorType>

/** A name of the registry. */
export type CalibratorName = keyof typeof calibratorTypes

/** All names, for help texts and checks. */
export const calibratorNames = Object.keys(calibratorTypes) as readonly CalibratorName[]

/**
 * A calibrator by name. Throws `calibration.unknown-calibrator`, or `config.*` for bad options.
 * @param source where the options came from, for messages; default the calibrator's name
 */
export function createCalibrator(
  name: string,
  options: Readonly<Record<string, unknown>> = {},
  source?: string,
): Calibrator {
  return typeOf(name).create(options, source)
}

/**
 * A calibrator from what `toJSON()` gave (parsed JSON). Throws `calibration.unknown-calibrator`, `config.*` for a bad
 * form, and what the calibrator's own check throws.
 * @param source where the JSON came from, for messages
 */
export function calibratorFromJSON(json: unknown, source = 'saved calibrator'): Calibrator {
  const name = (json as { name?: unknown } | null | undefined)?.name
  return typeOf(typeof name === 'string' ? name : String(name), source).restore(json, source)
}

function typeOf(name: string, source?: string): CalibratorType {
  if (Object.hasOwn(calibratorTypes, name)) return calibratorTypes[name as CalibratorName]
  const near = suggestNearest(name, calibratorNames)
  throw new ShallowDeepError({
    code: 'calibration.unknown-calibrator',
    message: `${source ? `${source}: ` : ''}expected a calibrator (${calibratorNames.join(', ')}), got ${name}`,
    ...(near ? { hint: `did you mean ${near}?` } : {}),
    details: { name, known: calibratorNames },
  })
}
