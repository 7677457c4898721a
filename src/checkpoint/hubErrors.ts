// What can go wrong between here and the hub, each as one line that says what to do.
import { ShallowDeepError } from '../errors.js'

/** A revision that is none. */
export function badRevision(revision: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'hub.bad-revision',
    message: `expected a branch, tag or commit as the revision, got ${JSON.stringify(revision)}`,
    hint: 'main is the newest state',
    details: { revision },
  })
}

/** A model without a file that is needed; `name` is the one. */
export function noSafetensors(id: string, files: readonly string[], name: string): ShallowDeepError {
  const others = files.filter((file) => /\.(bin|h5|msgpack|ckpt)$/.test(file))
  const found = others.length > 0 ? `; it has ${others.join(', ')}` : ''
  return new ShallowDeepError({
    code: 'hub.no-safetensors',
    message: `${id} on the hub has no ${name} beside a config.json${found}`,
    hint: 'another revision may (--revision refs/pr/<n>), or convert it with save_pretrained and import the folder',
    details: { id, name, others },
  })
}

/** The hub's answer to a request that failed. */
export function refusal(
  status: number,
  { id, revision, hubUrl }: { id: string; revision: string; hubUrl: string },
): ShallowDeepError {
  const details = { id, revision, hubUrl, status }
  if (status === 401 || status === 403 || status === 404) {
    return new ShallowDeepError({
      code: 'hub.no-such-model',
      message: `${hubUrl} has no model ${id} with the revision ${revision}, or it is private (status ${status})`,
      hint: 'check the id (owner/name); a private or gated model needs an access token in HF_TOKEN',
      details,
    })
  }
  return new ShallowDeepError({
    code: 'hub.refused',
    message: `${hubUrl} answered with status ${status} for ${id}`,
    hint: 'try again later; what was downloaded stays',
    details,
    kind: 'failure',
  })
}

/** Nothing to be found where the hub may not be asked. */
export function notCached(id: string, repository: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'hub.not-cached',
    message: `${id} is not whole in the cache (${repository}), and HF_HUB_OFFLINE forbids to ask the hub`,
    hint: 'unset HF_HUB_OFFLINE, or point HF_HOME to the cache that holds it',
    details: { id, repository },
  })
}

/** A download that broke off. */
export function interrupted(id: string, hubUrl: string, cause: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'hub.interrupted',
    message: `the download of ${id} from ${hubUrl} broke off: ${reasonOf(cause)}`,
    hint: 'run the same command again: it goes on where it stopped',
    details: { id, hubUrl },
    cause,
    kind: 'failure',
  })
}

/** A hub that does not answer, and nothing in the cache. */
export function unreachable(id: string, hubUrl: string, cause: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'hub.unreachable',
    message: `no folder ${id}, and ${hubUrl} cannot be reached: ${reasonOf(cause)}`,
    hint: 'is there a network? Without one, give a folder, or a model that is in the cache (HF_HOME)',
    details: { id, hubUrl },
    cause,
    kind: 'failure',
  })
}

/** The system's word for it, which fetch hides one level below. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const code = (cause as { readonly code?: string } | undefined)?.code
  return code ?? (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, ' ')
}
