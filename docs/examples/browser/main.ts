// A page that translates as one types: tokens stream in, coloured by the exit they came from; the text is what is final.
import { free, full, generate, lossless } from 'shallowdeep'
import type { FetchProgress, Policy, TextModel, TokenEvent } from 'shallowdeep'

const CHECKPOINT = 'checkpoint'

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T
const form = element<HTMLFormElement>('form')
const run = element<HTMLButtonElement>('run')
const stop = element<HTMLButtonElement>('stop')
const status = element('status')
const tokens = element('tokens')
const output = element('output')
const valueOf = (id: string) => element<HTMLInputElement | HTMLSelectElement>(id).value

/** Models that are open, by engine: each is loaded when it is first chosen. */
const models = new Map<string, Promise<TextModel>>()

function openModel(engine: string): Promise<TextModel> {
  const known = models.get(engine)
  if (known) return known
  const opening = load(engine)
  models.set(engine, opening)
  // What failed may be tried again.
  opening.catch(() => models.delete(engine))
  return opening
}

async function load(engine: string): Promise<TextModel> {
  const onProgress = ({ file, doneBytes, totalBytes }: FetchProgress) => {
    const share = totalBytes === null ? '' : ` of ${(totalBytes / 1e6).toFixed(1)}`
    status.textContent = `${file}: ${(doneBytes / 1e6).toFixed(1)}${share} MB`
  }
  if (engine === 'tfjs') {
    const { openOnTfjs } = await import('./tfjsModel.js')
    return openOnTfjs(CHECKPOINT, { onProgress })
  }
  const { openOnOnnx } = await import('./onnxModel.js')
  return openOnOnnx(CHECKPOINT, { dtype: engine === 'q4' ? 'q4' : 'float32', onProgress })
}

const POLICIES: Readonly<Record<string, (threshold: number) => Policy>> = { free, lossless, full }

function showToken(model: TextModel, { token, exit, exitLayer, confidence, retracted }: TokenEvent): void {
  for (let i = 0; i < retracted; i++) tokens.lastElementChild?.remove()
  const item = document.createElement('li')
  item.className = exit
  item.dataset.token = String(token)
  item.title = `${exit}, layer ${exitLayer}`
  const number = document.createElement('small')
  number.textContent = confidence === null ? '\u00a0' : confidence.toFixed(2)
  item.append(model.tokenizer.idToPiece(token) ?? '', number)
  tokens.append(item)
}

async function translate(signal: AbortSignal): Promise<void> {
  const model = await openModel(valueOf('engine'))
  const policy = POLICIES[valueOf('policy')](Number(valueOf('threshold')))
  const started = performance.now()
  for await (const event of generate(model, valueOf('text'), { policy, maxNewTokens: 64, signal })) {
    if (event.type === 'token') showToken(model, event)
    if (event.type === 'commit') {
      output.append(event.text)
      for (let i = 0; i < event.position + event.tokens.length; i++) tokens.children[i].classList.add('final')
    }
    if (event.type === 'end') {
      const { exits } = event.result
      const shallow = exits.filter((exit) => exit === 'shallow').length
      const took = (performance.now() - started).toFixed(0)
      status.textContent = `${exits.length} tokens in ${took} ms, ${shallow} of them shallow`
    }
    // Let the browser draw what there is.
    await new Promise((resolve) => setTimeout(resolve))
  }
}

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const controller = new AbortController()
  stop.onclick = () => controller.abort(new Error('stopped'))
  run.disabled = true
  stop.disabled = false
  tokens.replaceChildren()
  output.textContent = ''
  try {
    await translate(controller.signal)
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error)
  } finally {
    run.disabled = false
    stop.disabled = true
  }
})
