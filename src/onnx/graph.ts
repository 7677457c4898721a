// An ONNX graph while it is built, and the protobuf message it becomes. Field numbers are those of onnx.proto. Nothing
// about T5 lives here.
import { ShallowDeepError } from '../errors.js'
import { MessageWriter, type Chunks } from '../protobuf/index.js'

/** Element types of ONNX that are used here, by their numbers in the format. */
const ELEMENT_TYPES = { float32: 1, uint8: 2, int32: 6, int64: 7 } as const

export type ElementType = keyof typeof ELEMENT_TYPES

/** An input or output of a graph. A size that is known only when the graph is run has a name. */
export interface ValueInfo {
  readonly name: string
  readonly type: ElementType
  readonly shape: readonly (number | string)[]
}

/** A constant of a graph. */
export interface ConstantTensor {
  readonly type: ElementType
  readonly shape: readonly number[]
  /** In the order of the shape, little-endian; not copied. */
  readonly data: ArrayBufferView
}

/** An attribute of a node: an integer, several, a text, or a float. */
export type Attribute = number | readonly number[] | string | { readonly float: number }

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>
  /** Names of the outputs, '' for one that is left out. Neutral: one, named here. */
  readonly outputs?: readonly string[]
}

/** Operators of ONNX Runtime's own, which its builds for all platforms have. */
const CONTRIB_OPERATORS: ReadonlySet<string> = new Set([
  'GroupQueryAttention',
  'MatMulNBits',
  'MultiHeadAttention',
  'SkipSimplifiedLayerNormalization',
])
const CONTRIB_DOMAIN = 'com.microsoft'

/** The format and the operators of ONNX 1.18: the first with RMSNormalization. */
const IR_VERSION = 11
const OPERATOR_SET = 23

/** A protobuf message is shorter than 2 GiB; a little is left for what stands around the graph. */
const MAX_BYTES = 2 ** 31 - 2 ** 16

/** Builds one graph. Values are known by their names; as an input '' is an optional one that is left out. */
export class GraphBuilder {
  private readonly graph = new MessageWriter()
  private readonly constantNames = new Set<string>()
  private numNodes = 0

  /** Declares an input and returns its name. */
  input(info: ValueInfo): string {
    this.graph.message(11, valueInfoMessage(info))
    return info.name
  }

  /** Declares an output; a node makes it under that name. */
  output(info: ValueInfo): void {
    this.graph.message(12, valueInfoMessage(info))
  }

  /** A constant; asked for once more by its name it is the same. */
  constant(name: string, make: () => ConstantTensor): string {
    if (this.constantNames.has(name)) return name
    this.constantNames.add(name)
    const { type, shape, data } = make()
    const tensor = new MessageWriter()
    for (const size of shape) tensor.int(1, size)
    tensor.int(2, ELEMENT_TYPES[type]).string(8, name)
    tensor.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    this.graph.message(5, tensor.finish())
    return name
  }

  /** A vector of integers as a constant, or a lone one as a scalar. */
  integers(values: readonly number[] | number, type: 'int32' | 'int64' = 'int64'): string {
    const list = [values].flat()
    const shape = typeof values === 'number' ? [] : [list.length]
    return this.constant(`${type}${shape.length === 0 ? '' : 's'}_${list.join('_')}`, () => ({
      type,
      shape,
      data: type === 'int64' ? BigInt64Array.from(list, BigInt) : Int32Array.from(list),
    }))
  }

  /** Adds a node and returns its first output. */
  node(operator: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.nodes(operator, inputs, options)[0]
  }

  /** Adds a node and returns its outputs. */
  nodes(
    operator: string,
    inputs: readonly string[],
    { attributes = {}, outputs = [`${operator}_${this.numNodes}`] }: NodeOptions,
  ): readonly string[] {
    const node = new MessageWriter()
    for (const input of inputs) node.string(1, input)
    for (const output of outputs) node.string(2, output)
    node.string(3, `${operator}_${this.numNodes++}`).string(4, operator)
    for (const [name, value] of Object.entries(attributes)) node.message(5, attributeMessage(name, value))
    if (CONTRIB_OPERATORS.has(operator)) node.string(7, CONTRIB_DOMAIN)
    this.graph.message(1, node.finish())
    return outputs
  }

  /**
   * The model that consists of this graph; `name` says what it computes. Throws `onnx.too-large` where its weights are
   * more than a protobuf message can hold.
   */
  finish(name: string): Chunks {
    const graph = this.graph.string(2, name).finish()
    if (graph.length > MAX_BYTES) throw tooLarge(name, graph.length)
    const operators = (domain: string, version: number) =>
      new MessageWriter().string(1, domain).int(2, version).finish()
    return new MessageWriter()
      .int(1, IR_VERSION)
      .string(2, 'shallowdeep')
      .message(7, graph)
      .message(8, operators('', OPERATOR_SET))
      .message(8, operators(CONTRIB_DOMAIN, 1))
      .finish()
  }
}

function valueInfoMessage({ name, type, shape }: ValueInfo): Chunks {
  const dimensions = new MessageWriter()
  for (const size of shape) {
    const dimension = new MessageWriter()
    if (typeof size === 'number') dimension.int(1, size)
    else dimension.string(2, size)
    dimensions.message(1, dimension.finish())
  }
  const tensorType = new MessageWriter().int(1, ELEMENT_TYPES[type]).message(2, dimensions.finish())
  return new MessageWriter()
    .string(1, name)
    .message(2, new MessageWriter().message(1, tensorType.finish()).finish())
    .finish()
}

function attributeMessage(name: string, value: Attribute): Chunks {
  const attribute = new MessageWriter().string(1, name)
  if (typeof value === 'number') return attribute.int(3, value).int(20, 2).finish()
  if (typeof value === 'string') return attribute.bytes(4, utf8.encode(value)).int(20, 3).finish()
  if ('float' in value) return attribute.float(2, value.float).int(20, 1).finish()
  for (const item of value) attribute.int(8, item)
  return attribute.int(20, 7).finish()
}

const utf8 = new TextEncoder()

function tooLarge(name: string, sizeBytes: number): ShallowDeepError {
  return new ShallowDeepError({
    code: 'onnx.too-large',
    message: `the ONNX graph ${name} would have ${(sizeBytes / 2 ** 30).toFixed(1)} GiB, one file holds less than 2 GiB`,
    hint: 'take a smaller dtype (int8 or q4), or segments of fewer layers',
    details: { name, sizeBytes },
  })
}
