// Numbers as reports print them, the same in tables, pages, charts and sentences. What is not a number is a dash.

/** Stands for a number that is missing, does not apply, or is not finite. */
export const DASH = '–'

type Maybe = number | null | undefined

/** A number with `digits` decimals, thousands separated by commas; {@link DASH} for null, undefined, NaN, infinities. */
export function formatNumber(value: Maybe, digits = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH
  const fixed = Math.abs(value).toFixed(digits)
  const [whole, decimals] = fixed.split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  // Minus only where a digit other than 0 is left: no "-0.0".
  const sign = value < 0 && /[1-9]/.test(fixed) ? '-' : ''
  return sign + (decimals ? `${grouped}.${decimals}` : grouped)
}

/** A share in [0, 1] as per cent, `61.2%`. */
export function formatShare(value: Maybe, digits = 1): string {
  const text = formatNumber(value === null || value === undefined ? value : value * 100, digits)
  return text === DASH ? DASH : `${text}%`
}

/** A ratio, `2.13×`. */
export function formatTimes(value: Maybe, digits = 2): string {
  const text = formatNumber(value, digits)
  return text === DASH ? DASH : `${text}×`
}

/** A threshold or confidence with up to two decimals and none that say nothing: `0.5`, `0.47`, `1`. */
export function formatThreshold(value: Maybe): string {
  return value === null || value === undefined || !Number.isFinite(value)
    ? DASH
    : String(Number(value.toFixed(2)))
}

/** Times in ms per token: two decimals below 100, one below 1000, none above. */
export function formatMs(value: Maybe): string {
  const size = Math.abs(value ?? 0)
  return formatNumber(value, size < 100 ? 2 : size < 1000 ? 1 : 0)
}

/** `1 token`, `2 tokens`, `1,204 tokens`. */
export function formatCount(value: number, noun: string): string {
  return `${formatNumber(value)} ${noun}${value === 1 ? '' : 's'}`
}
