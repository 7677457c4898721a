// Segments by graphs: a pass is one call, whatever its number of layers. Rows that are not in step go one operation after
// the other as elsewhere, for each number of groups would need a graph of its own, which takes longer to load than it saves.
import * as tf from '@tensorflow/tfjs'
import type { DecoderLayerWeights, KeyValue, LayerShape } from '../../../model/index.js'
import type { EngineWeights } from '../decoderWeights.js'
import type { PositionBias } from '../positionBias.js'
import { joinStates } from '../segments.js'
import type {
  KeptStates,
  SegmentGroup,
  SegmentInput,
  SegmentOutput,
  SegmentRunner,
  SourceStates,
} from '../segments.js'
import type { GraphRuntime, LoadedGraph } from './runtime.js'
import {
  atSome,
  LAYER_STATES,
  LAYER_WEIGHTS,
  ofLayer,
  segmentGraph,
  type ExitOutput,
  type LayerWeightName,
} from './segmentGraph.js'

/** A segment's graph, and what of its inputs and outputs is the same for every pass. */
interface SegmentPlan {
  readonly graph: LoadedGraph
  readonly weights: readonly (readonly [string, tf.Tensor])[]
  readonly presentNames: readonly string[]
}

/** What the graphs are made from and fed with; all of it stays the owner's. */
export interface GraphModel {
  readonly weights: EngineWeights
  readonly bias: PositionBias
  readonly shape: LayerShape
}

/** Owns its graphs, not the weights. */
export class GraphSegments implements SegmentRunner {
  private readonly plans = new Map<string, SegmentPlan>()
  private readonly noBias: tf.Tensor4D = tf.keep(tf.zeros([1, 1, 1, 1]))

  constructor(
    private readonly runtime: GraphRuntime,
    private readonly model: GraphModel,
    /** For rows that are not in step, and what is made once a source; the owner's. */
    private readonly eager: SegmentRunner,
  ) {}

  run(input: SegmentInput): SegmentOutput {
    const { from, to, hidden, groups, exit } = input
    if (groups.length > 1) return this.eager.run(input)
    const [group] = groups
    const { graph, weights, presentNames } = this.planOf(from, to)
    const inputs = new Map<string, tf.Tensor>([
      ['hidden', joinStates(hidden)],
      ['biasBlock', this.model.bias.block(group.first, group.numPositions)],
      ['memoryBias', group.memory.bias ?? this.noBias],
      ...weights,
    ])
    for (let i = 0; i < to - from; i++) {
      const [key, value] = group.past ? group.past.slice(2 * i, 2 * i + 2) : this.nothing(group)
      const memory = group.memory.at(from + i)
      const states = [key, value, memory.key, memory.value]
      for (const [j, part] of LAYER_STATES.entries()) inputs.set(ofLayer(i, part), states[j])
    }
    if (exit) inputs.set('head', this.model.weights.exit.head as tf.Tensor2D)
    if (exit?.positions) inputs.set('positions', tf.tensor1d([...exit.positions], 'int32'))
    const asked: ExitOutput[] = exit ? ['logits', ...(exit.choice ? [exit.choice] : [])] : []
    const outputs = [...presentNames, 'states', ...(exit?.positions ? asked.map(atSome) : asked)]
    const results = graph.run(inputs, outputs)
    const [states, logits, packed] = results.slice(presentNames.length) as tf.Tensor2D[]
    const present = results.slice(0, presentNames.length) as tf.Tensor4D[]
    return { hidden: states, logits, packed, present: [present] }
  }

  crossKeyValue(layer: number, source: SourceStates): KeyValue {
    return this.eager.crossKeyValue(layer, source)
  }

  encoderLayers(hidden: tf.Tensor2D, bias: tf.Tensor4D): tf.Tensor2D {
    return this.eager.encoderLayers(hidden, bias)
  }

  dispose(): void {
    for (const { graph } of this.plans.values()) graph.dispose()
    this.noBias.dispose()
  }

  private planOf(from: number, to: number): SegmentPlan {
    const key = `${from} ${to}`
    const known = this.plans.get(key)
    if (known) return known
    const layers = this.model.weights.decoder.layers.slice(from, to)
    const dModel = this.model.weights.embedding.shape[1]
    const plan = {
      graph: this.runtime.load(
        segmentGraph({ ...this.model.shape, numLayers: to - from, dModel, headWidth: this.headWidth }),
      ),
      weights: layers.flatMap((layer, i) => {
        const matrices = matricesOf(layer)
        return LAYER_WEIGHTS.map((part) => [ofLayer(i, part), matrices[part]] as const)
      }),
      presentNames: layers.flatMap((_, i) => [ofLayer(i, 'presentKey'), ofLayer(i, 'presentValue')]),
    }
    this.plans.set(key, plan)
    return plan
  }

  /** Keys and values of no positions. */
  private nothing({ batch }: SegmentGroup): KeptStates {
    const none = tf.zeros<tf.Rank.R4>([batch, this.model.shape.numHeads, 0, this.headWidth])
    return [none, none]
  }

  private get headWidth(): number {
    return matricesOf(this.model.weights.decoder.layers[0]).selfOut.shape[0] / this.model.shape.numHeads
  }
}

/** What an engine has uploaded is plain: nothing of it is to be trained. */
function matricesOf(layer: DecoderLayerWeights): Readonly<Record<LayerWeightName, tf.Tensor2D>> {
  const { selfAttention, crossAttention, feedForward } = layer
  const matrices = {
    selfIn: selfAttention.queryKeyValue,
    selfOut: selfAttention.output,
    crossIn: crossAttention.query,
    crossOut: crossAttention.output,
    feedIn: feedForward.input,
    feedOut: feedForward.output,
  }
  return matrices as Record<LayerWeightName, tf.Tensor2D>
}
