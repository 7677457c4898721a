// Makes any text safe where it is put: in HTML and SVG, in a Markdown table, on a terminal. Sources and outputs of a model
// are foreign text and may hold markup or terminal commands.

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

// C0 and C1 controls save tab and line feed, half surrogate pairs, and the two code points XML forbids.
const FORBIDDEN = /[^\t\n\x20-\x7e\xa0-\ufffd\u{10000}-\u{10ffff}]|[\ud800-\udfff]/gu

// Marks that turn the direction of all text after them, quotes and code included.
const DIRECTION_MARKS = /[\u202a-\u202e\u2066-\u2069]/g

/** Text with U+FFFD in place of control characters, half surrogate pairs, and marks that turn all text after them. */
export function replaceForbidden(text: string): string {
  return text.replace(FORBIDDEN, '\ufffd').replace(DIRECTION_MARKS, '\ufffd')
}

/** Text as content or quoted attribute value of HTML and XML. */
export function escapeXml(text: string): string {
  return replaceForbidden(text).replace(/[&<>"']/g, (character) => ENTITIES[character])
}

/** Text on one line of Markdown, in a table's cell or elsewhere: nothing in it is taken for markup. */
export function escapeMarkdown(text: string): string {
  return replaceForbidden(text)
    .replace(/\s+/g, ' ')
    .replace(/[&<>]/g, (character) => ENTITIES[character])
    .replace(/[\\`*_[\]|~#$!]/g, '\\$&')
}

/** Text on one line of a terminal: control characters become the pictures of them, tab and line feed too. */
export function escapeTerminal(text: string): string {
  const pictured = text
    .replace(/[\x00-\x1f]/g, (character) => String.fromCharCode(0x2400 + character.charCodeAt(0)))
    .replace(/\x7f/g, '\u2421')
  return replaceForbidden(pictured)
}
