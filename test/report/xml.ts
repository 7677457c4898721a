// A strict reader of XML documents, to the extent that reports use them: it throws where the text is not well-formed, and
// gives the elements with their attributes and texts otherwise.

/** An element in document order. */
export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  /** All text inside, entities resolved. */
  text: string
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
const NAME = '[A-Za-z_][\\w:.-]*'
const TAG = new RegExp(`^<(/?)(${NAME})((?:\\s+${NAME}="[^"<]*")*)\\s*(/?)>`)
const ATTRIBUTE = new RegExp(`(${NAME})="([^"<]*)"`, 'g')

/** All elements of a document; a document type declaration may come first. Throws where it is not well-formed. */
export function readXml(document: string): XmlElement[] {
  const forbidden = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.exec(document)
  if (forbidden) throw new Error(`character ${JSON.stringify(forbidden[0])} at ${forbidden.index}`)
  const elements: XmlElement[] = []
  const open: XmlElement[] = []
  let at = /^<!DOCTYPE html>\n/.exec(document)?.[0].length ?? 0
  while (at < document.length) {
    if (document[at] !== '<') {
      const end = document.indexOf('<', at)
      const raw = document.slice(at, end === -1 ? undefined : end)
      if (open.length === 0 && raw.trim() !== '')
        throw new Error(`text outside the root: ${raw.slice(0, 40)}`)
      if (raw.includes(']]>')) throw new Error('a section ends that never began')
      const text = resolveEntities(raw)
      for (const element of open) element.text += text
      at += raw.length
      continue
    }
    const tag = TAG.exec(document.slice(at, at + 20_000))
    if (!tag) throw new Error(`no tag: ${document.slice(at, at + 60)}`)
    const [whole, closing, name, attributeText, selfClosing] = tag
    if (closing) {
      const last = open.pop()
      if (last?.name !== name) throw new Error(`</${name}> closes <${last?.name ?? 'nothing'}>`)
    } else {
      if (open.length === 0 && elements.length > 0) throw new Error(`a second root: <${name}>`)
      const attributes: Record<string, string> = {}
      for (const [, key, value] of attributeText.matchAll(ATTRIBUTE)) {
        if (key in attributes) throw new Error(`<${name}> has ${key} twice`)
        attributes[key] = resolveEntities(value)
      }
      const element = { name, attributes, text: '' }
      elements.push(element)
      if (!selfClosing) open.push(element)
    }
    at += whole.length
  }
  if (open.length > 0) throw new Error(`<${open.map(({ name }) => name).join('> <')}> left open`)
  return elements
}

function resolveEntities(raw: string): string {
  const stray = /&(?!(?:amp|lt|gt|quot|#39);)/.exec(raw)
  if (stray) throw new Error(`stray ampersand: ${raw.slice(stray.index, stray.index + 20)}`)
  return raw.replace(/&([^;]+);/g, (_, name: string) => ENTITIES[name])
}

/** The texts of all elements of one name. */
export function textsOf(elements: readonly XmlElement[], name: string): string[] {
  return elements.filter((element) => element.name === name).map(({ text }) => text)
}
