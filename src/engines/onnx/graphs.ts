// The graphs of a model as sessions of ONNX Runtime: made when they are first needed, kept until the engine is disposed.
import type { ModelConfig, HostWeights } from '../../config/index.js'
import {
  encoderGraph,
  exitGraph,
  proposalGraph,
  segmentGraph,
  type GraphModel,
  type Segment,
} from '../../onnx/index.js'
import { joinChunks, type Chunks } from '../../protobuf/index.js'
import { FEWEST_TOKENS, isWorthwhile, type ProposalTally } from './proposalTally.js'
import type { OnnxRuntime, RuntimeSession, RuntimeSessionOptions, RuntimeTensor } from './runtime.js'

/** Owns its sessions. */
export class ModelGraphs {
  /** What has come of proposals. */
  readonly proposals: ProposalTally = { asked: 0, proven: 0 }
  private readonly sessions = new Map<string, Promise<RuntimeSession>>()

  constructor(
    private readonly model: GraphModel,
    private readonly host: { readonly runtime: OnnxRuntime; readonly writesInPlace: boolean },
    private readonly options: RuntimeSessionOptions,
  ) {}

  /** Whether results can be written into tensors that are given for them. */
  get writesInPlace(): boolean {
    return this.host.writesInPlace
  }

  get config(): ModelConfig {
    return this.model.config
  }

  get weights(): HostWeights {
    return this.model.weights
  }

  encoder(): Promise<RuntimeSession> {
    return this.session('encoder', encoderGraph)
  }

  segment(segment: Segment): Promise<RuntimeSession> {
    return this.session(`${segment.from}-${segment.to}`, (model) => segmentGraph(model, segment))
  }

  exit(): Promise<RuntimeSession> {
    return this.session('exit', exitGraph)
  }

  /** Whether a second head in 8 bits is worth its memory, and has been worth its time so far. */
  get proposes(): boolean {
    const { config, precisionOf = () => 'float32' } = this.model
    return (
      config.vocabSize >= FEWEST_TOKENS && precisionOf('head') === 'float32' && isWorthwhile(this.proposals)
    )
  }

  /** See {@link proposeTokens}. */
  proposal(): Promise<RuntimeSession> {
    return this.session('proposal', proposalGraph)
  }

  /** A tensor over `data`, which is not copied. */
  tensor(data: Float32Array | Int32Array, dims: readonly number[]): RuntimeTensor {
    return new this.host.runtime.Tensor(data instanceof Float32Array ? 'float32' : 'int32', data, dims)
  }

  /** Releases all sessions; not while one of them runs. */
  async dispose(): Promise<void> {
    const sessions = [...this.sessions.values()]
    this.sessions.clear()
    for (const session of sessions) await (await session).release()
  }

  private session(name: string, make: (model: GraphModel) => Chunks): Promise<RuntimeSession> {
    const known = this.sessions.get(name)
    if (known) return known
    const created = this.host.runtime.InferenceSession.create(joinChunks(make(this.model)), this.options)
    this.sessions.set(name, created)
    return created
  }
}
