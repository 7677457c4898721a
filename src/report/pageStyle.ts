// The style sheet of the HTML report: light and dark by the reader's scheme, narrow screens, print.
import { EXIT_COLOURS, KIND_COLOURS, SCHEMES } from './palette.js'
import { SVG_FONT } from './svgDocument.js'

const { light, dark } = SCHEMES

const kindRules = Object.entries(KIND_COLOURS)
  .map(([kind, colour]) => `.key-${kind}{background:${colour}}`)
  .join('')

/** Style sheet of the report, without markup in it. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;--text:${light.text};--muted:${light.muted};--page:${light.background};--line:#d1d9e0;--soft:#f6f8fa;--shallow:${EXIT_COLOURS.shallow};--deep:${EXIT_COLOURS.deep}}
@media (prefers-color-scheme:dark){:root{--text:${dark.text};--muted:${dark.muted};--page:${dark.background};--line:#3d444d;--soft:#151b23}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1.5rem 1rem 4rem;background:var(--page);color:var(--text);font:1rem/1.55 ${SVG_FONT};overflow-wrap:break-word}
h1{font-size:1.7rem;line-height:1.25;margin:.5rem 0 1rem}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .4rem}
p,ul{margin:.5rem 0}
ul{padding-left:1.3rem}
code{font:.875em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--soft);padding:.1em .35em;border-radius:4px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.25rem;margin:.5rem 0}
dt{color:var(--muted)}
dd{margin:0;min-width:0}
.note{color:var(--muted);font-size:.875rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}
caption{text-align:left;color:var(--muted);font-size:.875rem;padding-bottom:.5rem}
th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
thead th{vertical-align:bottom;white-space:normal;color:var(--muted);font-weight:600}
th:first-child,td.word{text-align:left}
tbody th{font-weight:500}
tr.best>*{font-weight:700;background:var(--soft)}
.interval{color:var(--muted);font-size:.85em;font-weight:400}
.key{display:inline-block;width:.65em;height:.65em;border-radius:2px;margin-right:.5em}
${kindRules}
figure{margin:1rem 0;break-inside:avoid;overflow-x:auto}
figure svg{min-width:36rem}
figcaption{color:var(--muted);font-size:.875rem;margin-top:.25rem}
.example{border:1px solid var(--line);border-radius:8px;padding:.75rem 1rem;margin:1rem 0;break-inside:avoid}
.source{font-style:italic}
.references{color:var(--muted);font-size:.9rem;list-style:none;padding:0}
.tokens{font-size:1.05rem;line-height:2.1;white-space:pre-wrap}
.t{padding:.1em 1px .2em;margin:0 .5px;border-radius:3px;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.shallow{background:color-mix(in srgb,var(--shallow) 20%,transparent);border-bottom:2px solid var(--shallow)}
.deep{background:color-mix(in srgb,var(--deep) 24%,transparent);border-bottom:4px double var(--deep);font-weight:600}
summary{cursor:pointer;color:var(--muted);font-size:.875rem}
@media (max-width:34rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
@media print{:root{--text:#000;--muted:#444;--page:#fff;--line:#bbb;--soft:#f2f2f2}body{max-width:none;padding:0;font-size:10.5pt}h2{break-after:avoid}.scroll{overflow:visible}table{font-size:8.5pt}th,td{padding:.25rem .3rem}details:not([open]){display:none}}
`.trim()
