// What tokenizer.json calls post-processors: they put special tokens around the ids of a text.
import { z } from 'zod'
import { definePart, type PartKind } from './part.js'

export type PostProcessor = (ids: readonly number[]) => number[]

const templateSchema = z.object({
  single: z.array(
    z.union([
      z.object({ Sequence: z.object({ id: z.enum(['A', 'B']) }) }),
      z.object({ SpecialToken: z.object({ id: z.string() }) }),
    ]),
  ),
  special_tokens: z.unknown(),
})
const specialTokenSchema = z.object({ ids: z.array(z.int().nonnegative()) })

/** The post-processors that give the reference's results. */
export const POST_PROCESSORS: PartKind<PostProcessor> = {
  key: 'post_processor',
  list: 'processors',
  types: new Map([
    // It changes offsets only, which nothing here has.
    ['ByteLevel', definePart(z.object({}), (): PostProcessor => (ids) => [...ids])],
    ['TemplateProcessing', definePart(templateSchema, makeTemplate)],
  ]),
}

function makeTemplate({
  single,
  special_tokens: specialTokens,
}: z.infer<typeof templateSchema>): PostProcessor {
  const before: number[] = []
  const after: number[] = []
  let numTexts = 0
  for (const item of single) {
    if ('Sequence' in item) {
      numTexts += item.Sequence.id === 'A' ? 1 : 2
      continue
    }
    const { id } = item.SpecialToken
    const known =
      typeof specialTokens === 'object' && specialTokens !== null && Object.hasOwn(specialTokens, id)
    const parsed = specialTokenSchema.safeParse(
      known ? (specialTokens as Record<string, unknown>)[id] : undefined,
    )
    if (!parsed.success)
      throw new RangeError(`expected the ids of ${JSON.stringify(id)} under special_tokens`)
    const side = numTexts === 0 ? before : after
    side.push(...parsed.data.ids)
  }
  if (numTexts !== 1) throw new RangeError('expected the sequence A once under single')
  return (ids) => [...before, ...ids, ...after]
}
