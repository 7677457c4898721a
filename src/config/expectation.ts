// What a key of a configuration expects, in words for messages and as a placeholder for --help, read from the JSON
// Schema of its zod schema, so that checks, messages and help have one source.
import { z } from 'zod'

/** The parts of a JSON Schema node that are looked at here. `placeholder` comes from zod's `.meta()`. */
export interface JsonSchemaNode {
  readonly type?: string
  readonly enum?: readonly (string | number | boolean | null)[]
  readonly const?: unknown
  readonly anyOf?: readonly JsonSchemaNode[]
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly exclusiveMaximum?: number
  readonly items?: JsonSchemaNode | boolean
  readonly prefixItems?: readonly JsonSchemaNode[]
  readonly properties?: Readonly<Record<string, JsonSchemaNode>>
  readonly default?: unknown
  readonly description?: string
  /** What stands between angle brackets in --help: `file`, `folder`, `columns`. */
  readonly placeholder?: string
}

/** The JSON Schema of what a schema takes as input. */
export function jsonSchemaOf(schema: z.ZodType): JsonSchemaNode {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchemaNode
}

/** The node at a path of keys and indices; undefined where the schema does not say. */
export function nodeAt(root: JsonSchemaNode, path: readonly PropertyKey[]): JsonSchemaNode | undefined {
  let node: JsonSchemaNode | undefined = root
  for (const key of path) {
    const inner: JsonSchemaNode = node?.anyOf?.find(({ properties, items }) => properties ?? items) ?? node!
    if (typeof key === 'number') {
      node = inner.prefixItems?.[key] ?? (typeof inner.items === 'object' ? inner.items : undefined)
    } else {
      node = inner.properties?.[String(key)]
    }
    if (node === undefined) return undefined
  }
  return node
}

/** In words, for "expected ...": `a number from 0 to 1, adaptive or calibrated`. `nullWord`: how null is written there. */
export function expectationOf(node: JsonSchemaNode, nullWord = 'null'): string {
  const choices = choicesOf(node, nullWord)
  if (choices.length === 1) return choices[0]
  return `${choices.slice(0, -1).join(', ')} or ${choices[choices.length - 1]}`
}

function choicesOf(node: JsonSchemaNode, nullWord: string): readonly string[] {
  if (node.anyOf) return node.anyOf.flatMap((part) => choicesOf(part, nullWord))
  if (node.const !== undefined) return [String(node.const)]
  if (node.enum) return node.enum.map(String)
  return [describeType(node, nullWord)]
}

function describeType(node: JsonSchemaNode, nullWord: string): string {
  if (node.placeholder !== undefined) return `a ${node.placeholder}`
  switch (node.type) {
    case 'integer':
      return `a whole number${rangeOf(node)}`
    case 'number':
      return `a number${rangeOf(node)}`
    case 'boolean':
      return 'true or false'
    case 'null':
      return nullWord
    case 'string':
      return 'text'
    case 'array':
      if (node.prefixItems) {
        return `a list of ${node.prefixItems.map((part) => expectationOf(part, nullWord)).join(' and ')}`
      }
      return typeof node.items === 'object' && node.items.type !== undefined
        ? `a list, each ${expectationOf(node.items, nullWord)}`
        : 'a list'
    default:
      return 'an object'
  }
}

function rangeOf({ type, minimum, exclusiveMinimum, maximum, exclusiveMaximum }: JsonSchemaNode): string {
  const isInteger = type === 'integer'
  const isLimit = (x: number | undefined): x is number =>
    x !== undefined && Math.abs(x) < Number.MAX_SAFE_INTEGER
  let [low, high] = ['', '']
  if (isLimit(minimum)) low = ` from ${minimum}`
  else if (isLimit(exclusiveMinimum)) {
    low = isInteger ? ` from ${exclusiveMinimum + 1}` : ` above ${exclusiveMinimum}`
  }
  if (isLimit(maximum)) high = low.startsWith(' from') ? ` to ${maximum}` : ` up to ${maximum}`
  else if (isLimit(exclusiveMaximum)) high = ` below ${exclusiveMaximum}`
  if (low !== '' && high === '' && low.startsWith(' from')) return `${low} up`
  const joint =
    low === '' || high === '' || high.startsWith(' to') ? '' : low.startsWith(' from') ? ' to' : ' and'
  return low + joint + high
}

/** For --help, without the angle brackets: `n`, `0..1|adaptive`, `a|b`, `file`. Empty for a switch. */
export function placeholderOf(node: JsonSchemaNode): string {
  if (node.placeholder !== undefined) return node.placeholder
  if (node.anyOf) return node.anyOf.map(placeholderOf).join('|')
  if (node.const !== undefined) return String(node.const)
  if (node.enum) return node.enum.join('|')
  switch (node.type) {
    case 'integer':
      return 'n'
    case 'number':
      return node.minimum !== undefined && node.maximum !== undefined
        ? `${node.minimum}..${node.maximum}`
        : 'x'
    case 'boolean':
      return ''
    case 'null':
      return 'none'
    case 'array':
      return node.prefixItems ? node.prefixItems.map(placeholderOf).join(',') : 'list'
    default:
      return 'text'
  }
}
