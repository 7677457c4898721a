// What every SVG picture of a report has around its drawing: a name and description for screen readers, and the colours of
// its text in light and dark.
import { escapeXml } from './escape.js'
import { SCHEMES } from './palette.js'

/**
 * Where a picture will stand. `inherit`: inside a page, in the colour of the page's text; `auto`: a file of its own that
 * follows the reader's scheme; `light`, `dark`: a file for one scheme.
 */
export type SvgTheme = 'inherit' | 'auto' | 'light' | 'dark'

/** A picture's words. */
export interface SvgWords {
  /** Its name, short. */
  readonly title: string
  /** What it shows, for who does not see it. */
  readonly description: string
}

/** Font of all pictures; no face needs to be loaded. */
export const SVG_FONT = 'system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif'

/** An SVG document around a drawing; `width` and `height` in pixels, and it shrinks with its page. */
export function svgDocument(
  drawing: string,
  {
    width,
    height,
    theme,
    words,
  }: {
    readonly width: number
    readonly height: number
    readonly theme: SvgTheme
    readonly words: SvgWords
  },
): string {
  const { light, dark } = SCHEMES
  // On the root's own style attribute a page's text colour would win no longer, hence none for `inherit`.
  const colour = theme === 'inherit' ? '' : `;color:${theme === 'dark' ? dark.text : light.text}`
  const style =
    theme === 'auto'
      ? `<style>@media (prefers-color-scheme:dark){svg{color:${dark.text}!important}}</style>`
      : ''
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(words.title)}" ` +
    `style="max-width:100%;height:auto${colour}">` +
    `<title>${escapeXml(words.title)}</title><desc>${escapeXml(words.description)}</desc>` +
    `${style}${drawing}</svg>`
  )
}
