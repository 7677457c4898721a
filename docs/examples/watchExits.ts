// Shows where each token came from, and that `lossless` takes provisional tokens back but ends as `full` does.
import { full, generate, lossless, type Policy } from 'shallowdeep'
import { openCheckpoint } from 'shallowdeep/node'

const model = await openCheckpoint('checkpoints/translation-de-en', { backend: 'wasm' })

async function watch(policy: Policy): Promise<string> {
  let text = ''
  for await (const event of generate(model, 'Ich habe meinen Schlüssel im Auto vergessen.', { policy })) {
    if (event.type === 'token') {
      const piece = model.tokenizer.idToPiece(event.token)
      const confidence = event.confidence === null ? '' : ` confidence ${event.confidence.toFixed(2)}`
      const taken = event.retracted > 0 ? `, takes back ${event.retracted}` : ''
      console.log(
        `  ${piece} from layer ${event.exitLayer}${confidence}, flush of ${event.flushSize}${taken}`,
      )
    } else if (event.type === 'commit') text += event.text
  }
  return text
}

console.log('lossless')
const draft = await watch(lossless(0.3))
console.log('full')
const reference = await watch(full())
console.log(draft === reference ? `both: ${reference}` : `they differ: ${draft} / ${reference}`)
model.dispose()
if (draft !== reference) process.exitCode = 1
