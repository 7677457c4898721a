// A TensorFlow graph while it is built, and the SavedModel message it becomes. Field numbers are those of graph.proto,
// attr_value.proto and saved_model.proto. Nothing about T5 lives here.
import { MessageWriter, type Chunks } from '../../../protobuf/index.js'

/** Element types that are used here, by their numbers in the format. */
const ELEMENT_TYPES = { float32: 1, int32: 3 } as const

export type ElementType = keyof typeof ELEMENT_TYPES

/** An attribute of a node. */
export type Attribute =
  { readonly type: ElementType } | { readonly integer: number } | { readonly boolean: boolean }

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>
  /** Neutral: one, numbered. */
  readonly name?: string
}

/** The format that this is written in: TensorFlow 2.9's, which later ones read as well. */
const PRODUCER = 1087
const MIN_CONSUMER = 12

/** The tag by which a graph is found in its file. */
export const TAG = 'serve'

/** Builds one graph. Values are known by their names; the second output of a node and on are `name:1`, .... */
export class GraphBuilder {
  private readonly graph = new MessageWriter()
  private readonly constants = new Map<string, string>()
  private numNodes = 0

  /** Declares what is fed when the graph runs, of any shape, and returns its name. */
  input(name: string, type: ElementType = 'float32'): string {
    return this.node('Placeholder', [], { name, attributes: { dtype: { type } } })
  }

  /** A whole number, or a vector of them; the same ones once more are the same node. */
  integers(values: readonly number[] | number): string {
    const list = Int32Array.from([values].flat())
    return this.constant('int32', typeof values === 'number' ? [] : [list.length], list)
  }

  /** A float32 scalar. */
  float(value: number): string {
    return this.constant('float32', [], Float32Array.of(value))
  }

  /** Adds a node and returns its name, which is its first output's too. */
  node(operator: string, inputs: readonly string[], { attributes = {}, name }: NodeOptions = {}): string {
    return this.write(operator, inputs, {
      name,
      attributes: Object.entries(attributes).map(([key, value]) => [key, attributeMessage(value)]),
    })
  }

  /** The SavedModel that consists of this graph alone, without a signature. */
  finish(): Chunks {
    const versions = new MessageWriter().int(1, PRODUCER).int(2, MIN_CONSUMER).finish()
    const metaGraph = new MessageWriter()
      .message(1, new MessageWriter().string(4, TAG).finish())
      .message(2, this.graph.message(4, versions).finish())
      .finish()
    return new MessageWriter().int(1, 1).message(2, metaGraph).finish()
  }

  private constant(type: ElementType, shape: readonly number[], data: Int32Array | Float32Array): string {
    const key = `${type} ${shape.join()} ${data.join()}`
    const known = this.constants.get(key)
    if (known) return known
    const dimensions = new MessageWriter()
    for (const size of shape) dimensions.message(2, new MessageWriter().int(1, size).finish())
    const tensor = new MessageWriter()
      .int(1, ELEMENT_TYPES[type])
      .message(2, dimensions.finish())
      .bytes(4, new Uint8Array(data.buffer))
      .finish()
    const made = this.write('Const', [], {
      attributes: [
        ['dtype', attributeMessage({ type })],
        ['value', new MessageWriter().message(8, tensor).finish()],
      ],
    })
    this.constants.set(key, made)
    return made
  }

  private write(
    operator: string,
    inputs: readonly string[],
    options: { readonly name?: string; readonly attributes: readonly (readonly [string, Chunks])[] },
  ): string {
    const { name = `${operator}_${this.numNodes}`, attributes } = options
    this.numNodes++
    const node = new MessageWriter().string(1, name).string(2, operator)
    for (const input of inputs) node.string(3, input)
    for (const [key, value] of attributes) {
      node.message(5, new MessageWriter().string(1, key).message(2, value).finish())
    }
    this.graph.message(1, node.finish())
    return name
  }
}

function attributeMessage(attribute: Attribute): Chunks {
  const message = new MessageWriter()
  if ('type' in attribute) return message.int(6, ELEMENT_TYPES[attribute.type]).finish()
  if ('integer' in attribute) return message.int(3, attribute.integer).finish()
  return message.int(5, Number(attribute.boolean)).finish()
}
