// Low-rank adaptation (LoRA, Hu et al. 2022): W + alpha / r * A B for some matrices W of a model. Which matrices, what the
// factors are called, and the form in which PEFT keeps them: adapter_config.json and adapter_model.safetensors.
import { z } from 'zod'
import { ShallowDeepError } from '../errors.js'
import type { ModelConfig } from './model.js'
import { parseConfig } from './parse.js'
import {
  transposeWeight,
  weightSpecs,
  type HostWeight,
  type HostWeights,
  type WeightSpec,
} from './weightNames.js'
import { partOf, type WeightPart } from './weightParts.js'

/** Kinds of matrices: of all attentions, and all matrices of the feed-forwards. */
export const LORA_TARGETS = ['query', 'key', 'value', 'output', 'feed-forward'] as const

/** A kind of matrix that is adapted. */
export type LoraTarget = (typeof LORA_TARGETS)[number]

/** What an adaptation is, without its values. */
export interface LoraShape {
  /** r. */
  readonly rank: number
  /** What is added is scaled by alpha / r. */
  readonly alpha: number
  /** Our names of the matrices that are adapted. */
  readonly matrices: readonly string[]
}

/**
 * An adaptation: for each matrix [in, out] of its shape two factors, {@link factorNames}, A [in, r] and B [r, out].
 */
export interface Lora extends LoraShape {
  readonly factors: HostWeights
}

/** The names of a matrix's factors A and B. */
export function factorNames(matrix: string): { readonly a: string; readonly b: string } {
  return { a: `${matrix}.loraA`, b: `${matrix}.loraB` }
}

/** The matrix whose factor A has this name; undefined for any other name. */
export function matrixOf(factor: string): string | undefined {
  return /^(.+)\.loraA$/.exec(factor)?.[1]
}

/** The matrices of these kinds in these parts of a model, in the order of its weights. */
export function loraMatrices(
  config: ModelConfig,
  targets: readonly LoraTarget[],
  parts: ReadonlySet<WeightPart>,
): string[] {
  return weightSpecs(config)
    .map(({ name }) => name)
    .filter((name) => targets.some((target) => target === targetOf(name)) && parts.has(partOf(name, config)))
}

function targetOf(weight: string): LoraTarget | undefined {
  const [, sublayer, matrix] = /\.(\w*[aA]ttention|feedForward)\.(\w+)$/.exec(weight) ?? []
  if (sublayer === undefined || matrix === 'norm') return undefined
  return sublayer === 'feedForward' ? 'feed-forward' : (matrix as LoraTarget)
}

const PREFIX = 'base_model.model.'

/** What adapter_config.json must say to be understood here; what would change the computation is refused. */
const peftSchema = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.number().int().positive(),
  lora_alpha: z.number().positive(),
  use_rslora: z.literal(false).default(false),
  use_dora: z.literal(false).default(false),
  fan_in_fan_out: z.literal(false).default(false),
  bias: z.literal('none').default('none'),
  rank_pattern: z.strictObject({}).default({}),
  alpha_pattern: z.strictObject({}).default({}),
})

/**
 * An adaptation as PEFT writes it: tensors of adapter_model.safetensors, A as [r, in] and B as [out, r], and the contents of
 * adapter_config.json. `baseModel`: path or id of the model that is adapted.
 */
export function toPeft(
  lora: Lora,
  config: ModelConfig,
  options: { readonly baseModel: string; readonly dropout: number },
): { readonly tensors: Map<string, HostWeight>; readonly configJson: Readonly<Record<string, unknown>> } {
  const tensors = new Map<string, HostWeight>()
  const modules = matrixSpecs(lora, config).map((spec) => {
    const module = spec.huggingFaceName.replace(/\.weight$/, '')
    const { a, b } = factorNames(spec.name)
    tensors.set(`${PREFIX}${module}.lora_A.weight`, transposeWeight(lora.factors.get(a)!))
    tensors.set(`${PREFIX}${module}.lora_B.weight`, transposeWeight(lora.factors.get(b)!))
    return module
  })
  return {
    tensors,
    configJson: {
      base_model_name_or_path: options.baseModel,
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      lora_alpha: lora.alpha,
      lora_dropout: options.dropout,
      peft_type: 'LORA',
      r: lora.rank,
      target_modules: shortNames(modules, config),
      task_type: 'SEQ_2_SEQ_LM',
      use_dora: false,
      use_rslora: false,
    },
  }
}

/**
 * Reads an adaptation that PEFT or {@link toPeft} wrote. Throws `config.*` for a configuration of another kind, and
 * `lora.unknown-tensor`, `lora.missing-tensor` and `lora.wrong-shape` where the tensors are not those of this model.
 */
export function fromPeft(
  tensors: HostWeights,
  configJson: unknown,
  config: ModelConfig,
  source: string,
): Lora {
  const { r: rank, lora_alpha: alpha } = parseConfig(peftSchema, configJson, `${source}/adapter_config.json`)
  const factors = new Map<string, HostWeight>()
  const matrices: string[] = []
  const left = new Set(tensors.keys())
  for (const { name, huggingFaceName, shape } of weightSpecs(config)) {
    const module = PREFIX + huggingFaceName.replace(/\.weight$/, '')
    const [keyA, keyB] = [`${module}.lora_A.weight`, `${module}.lora_B.weight`]
    if (!left.has(keyA) && !left.has(keyB)) continue
    const { a, b } = factorNames(name)
    factors.set(a, transposeWeight(take(tensors, keyA, { shape: [rank, shape[0]], source })))
    factors.set(b, transposeWeight(take(tensors, keyB, { shape: [shape[1], rank], source })))
    matrices.push(name)
    left.delete(keyA)
    left.delete(keyB)
  }
  const [unknown] = left
  if (unknown !== undefined || matrices.length === 0) {
    throw new ShallowDeepError({
      code: 'lora.unknown-tensor',
      message: `${source}: ${unknown ?? 'no tensor'} is ${unknown ? 'no' : 'a'} LoRA factor of a matrix of this model`,
      hint: 'is it an adapter of this model?',
      details: { source, name: unknown ?? null },
    })
  }
  return { rank, alpha, matrices, factors }
}

function take(
  tensors: HostWeights,
  name: string,
  { shape, source }: { readonly shape: readonly number[]; readonly source: string },
): HostWeight {
  const tensor = tensors.get(name)
  if (tensor?.shape.join() === shape.join()) return tensor
  throw new ShallowDeepError({
    code: tensor ? 'lora.wrong-shape' : 'lora.missing-tensor',
    message: `${source}: ${name}: expected shape [${shape}], got ${tensor ? `[${tensor.shape}]` : 'none'}`,
    hint: 'is it an adapter of this model?',
    details: { source, name },
  })
}

function matrixSpecs({ matrices }: LoraShape, config: ModelConfig): WeightSpec[] {
  return weightSpecs(config).filter(({ name }) => matrices.includes(name))
}

/**
 * Last parts of the modules' names where those stand for exactly these modules (PEFT adapts every module whose name ends
 * so), else whole names.
 */
function shortNames(modules: readonly string[], config: ModelConfig): string[] {
  const lastPart = (module: string) => module.slice(module.lastIndexOf('.') + 1)
  const short = [...new Set(modules.map(lastPart))]
  const meant = weightSpecs(config).filter(({ huggingFaceName }) =>
    short.includes(lastPart(huggingFaceName.replace(/\.weight$/, ''))),
  )
  return meant.length === modules.length ? short : [...modules]
}
